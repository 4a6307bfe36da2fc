# SPDX-License-Identifier: LGPL-2.1-or-later
"""Random domains: all machine families, device kinds, given controllers, written addresses.

The same seed and number give the same domain. Each device has an alias of the user's ("ua-N"), so
that it can be told apart in what libvirt makes of it, and nothing is left for libvirt to draw by
lot (uuid, mac).
"""

import random
import re
import shutil
import xml.etree.ElementTree as ET

import topology
from slots import PORTS

FAMILIES = {
    # name: (arch, machine, emulator, how often)
    'pc': ('x86_64', 'pc', 'x86_64', 24),
    'q35': ('x86_64', 'q35', 'x86_64', 32),
    'aarch64-virt': ('aarch64', 'virt', 'aarch64', 12),
    'armv7l-virt': ('armv7l', 'virt', 'arm', 8),
    'riscv64-virt': ('riscv64', 'virt', 'riscv64', 8),
    'pseries': ('ppc64', 'pseries', 'ppc64', 16),
    # boards without a row of their own, or without PCI
    'i686-pc': ('i686', 'pc', 'i386', 2),
    'isapc': ('x86_64', 'isapc', 'x86_64', 1),
    'vexpress': ('armv7l', 'vexpress-a15', 'arm', 2),
    'mac99': ('ppc64', 'mac99', 'ppc64', 1),
    's390x': ('s390x', 's390-ccw-virtio', 's390x', 3),
}
EXPRESS = ('q35', 'aarch64-virt', 'armv7l-virt', 'riscv64-virt')
X86 = ('pc', 'q35', 'i686-pc', 'isapc')
NO_PCI = ('isapc', 'vexpress')
MMIO = ('aarch64-virt', 'armv7l-virt', 'riscv64-virt', 'vexpress')

# around the sizes of a bus and of buses behind bridges
BOUNDARIES = [*range(26, 34), *range(56, 64), *range(87, 96), *range(117, 127), *range(147, 157)]

CONVENTIONAL_MODELS = ('pci-bridge', 'pci-bridge', 'pci-bridge', 'pci-bridge', 'pci-bridge', 'pci-expander-bus')
EXPRESS_MODELS = ('pcie-root-port', 'pcie-root-port', 'pcie-root-port', 'pcie-root-port', 'pcie-to-pci-bridge',
                  'pcie-to-pci-bridge', 'dmi-to-pci-bridge', 'pci-bridge', 'pcie-switch-upstream-port',
                  'pcie-switch-downstream-port', 'pcie-switch-downstream-port', 'pcie-expander-bus')
# where a controller may be plugged in, for written addresses that make sense
PLUGS = {
    'pci-bridge': ('pci-root', 'pci-bridge', 'dmi-to-pci-bridge', 'pcie-to-pci-bridge'),
    'pci-expander-bus': ('pci-root',),
    'pcie-root-port': ('pcie-root', 'pcie-expander-bus'),
    'pcie-to-pci-bridge': ('pcie-root', *PORTS),
    'dmi-to-pci-bridge': ('pcie-root', 'pcie-expander-bus'),
    'pcie-switch-upstream-port': PORTS,
    'pcie-switch-downstream-port': ('pcie-switch-upstream-port',),
    'pcie-expander-bus': ('pcie-root',),
}
# Hints that most devices can follow, as (hotpluggable, busHint, preferredConnection)
EXPRESS_HINTS = [
    ('yes', None, None), ('yes', None, None), ('no', None, None), (None, 'pcie', None), (None, 'pci', None),
    (None, None, 'pcie-root-port'), (None, None, 'pcie-switch-downstream-port'), (None, None, 'pcie-to-pci-bridge'),
    (None, None, 'pci-bridge'), (None, None, 'dmi-to-pci-bridge'), (None, None, 'pcie-root'), ('yes', 'pcie', None),
    ('yes', 'pci', None), ('no', 'pcie', None), ('yes', None, 'pcie-root-port'), ('no', None, 'pcie-root'),
    (None, 'pcie', 'pcie-switch-downstream-port'), (None, 'pci', 'pci-bridge'), ('yes', 'pci', 'pcie-to-pci-bridge')]
CONVENTIONAL_HINTS = [
    ('yes', None, None), ('yes', None, None), ('no', None, None), (None, 'pci', None), (None, None, 'pci-root'),
    (None, None, 'pci-bridge'), ('yes', 'pci', None), ('no', 'pci', None), ('yes', None, 'pci-bridge'),
    ('no', None, 'pci-root'), (None, 'pci', 'pci-bridge'), ('yes', 'pci', 'pci-bridge')]


def emulator(name):
    return shutil.which(f'qemu-system-{name}')


def families():
    """Those whose emulator is here, and the names of those that are missing."""
    here = [name for name, row in FAMILIES.items() if emulator(row[2])]
    return here, [name for name in FAMILIES if name not in here]


def machines(names):
    """(arch, machine, emulator), one for each emulator of these families"""
    rows = {}
    for name in names:
        arch, machine, program, _ = FAMILIES[name]
        rows.setdefault(program, (arch, machine, emulator(program)))
    return list(rows.values())


class Domain:
    def __init__(self, name, head, elements, family):
        self.name, self.head, self.elements, self.family = name, head, elements, family

    def xml(self):
        return f'{self.head}<devices>\n' + '\n'.join(self.elements) + '\n</devices>\n</domain>\n'

    def but(self, elements):
        return Domain(self.name, self.head, elements, self.family)

    def renamed(self, name):
        head = re.sub('<name>.*?</name>', f'<name>{name}</name>', re.sub('<uuid>.*?</uuid>', '', self.head))
        return Domain(name, head, self.elements, self.family)

    def preferring(self, preferences):
        """With other preferences than it has; "" for none"""
        head = re.sub(r'(?s) *<preferences>.*?</preferences>\n', '', self.head)
        return Domain(self.name, head + preferences, self.elements, self.family)


    def groups(self):
        """The <preference>s that declare groups of devices"""
        return ''.join(re.findall("<preference name=.pciGroup.*?/>", self.head))


def with_more(preferences, rows):
    """<preferences>, which may be "", with more of them"""
    return (preferences or '<preferences>\n</preferences>\n').replace('</preferences>', f'{rows}</preferences>') if rows else preferences


def of_dump(dump, family):
    """The domain that a dump describes, in pieces that can be edited."""
    head = dump[:dump.index('<devices>')]
    devices = ET.fromstring(dump).find('devices')
    name = re.search(r'<name>(.*?)</name>', head)[1]
    return Domain(name, head, [ET.tostring(child, encoding='unicode').strip() for child in devices], family)


class Generator:
    def __init__(self, seed, number, names, prefix='d'):
        self.rng = random.Random(f'{seed}/{number}')
        self.number = number
        self.family = self.rng.choices(names, [FAMILIES[name][3] for name in names])[0]
        self.name = f'{prefix}{number}'
        self.serial = 0
        self.buses = {0: None}      # that a written address may name, with their models
        self.used = set()           # addresses already written
        self.singles = set()        # kinds of which a guest can have one
        self.missing_share = 0.06   # how many of these are on a bus that is not listed
        self.address_share = 0.0    # how many devices have a written address
        self.conventional = self.family not in EXPRESS
        self.usb_none = False       # the guest has no USB at all
        self.hint_share = 0.0       # how many devices have hints
        self.odd_hint_share = 0.0   # how many of these make no sense, or contradict the address
        self.node_share = 0.0       # how many devices and promises are near a NUMA node; if some are, there are two
        self.window_share = 0.0     # how many PCI controllers and promises have windows, where they can

    def chance(self, share):
        return self.rng.random() < share

    def one(self, *choices):
        return self.rng.choice(choices)

    # -- addresses and devices ------------------------------------------------------------------

    def address(self, virtio=False):
        """An <address> or nothing, in the style of this domain"""
        address = self.place(virtio)
        # nothing is drawn for a domain without hints: it stays what it was before there were hints
        if not self.hint_share or 'virtio-mmio' in address or not self.chance(self.hint_share):
            return address
        hints = ''.join(f" {name}='{value}'" for name, value in
                        zip(('hotpluggable', 'busHint', 'preferredConnection'), self.hints(address)) if value)
        # the same for NUMA nodes
        if self.node_share and self.chance(self.node_share if self.can_be_near(address, hints) else 0.01):
            hints += f" node='{self.node()}'"
        return (address or "<address type='pci'/>").replace('/>', f'{hints}/>')

    def hints(self, address):
        if self.chance(self.odd_hint_share):
            return (self.one('yes', 'no', None), self.one('pci', 'pcie', None),
                    self.one('pcie-switch-upstream-port', 'pcie-expander-bus', 'pci-expander-bus', *PLUGS))
        bus = re.search(r"bus='(\w+)'", address)
        if not bus:
            return self.rng.choice(CONVENTIONAL_HINTS if self.conventional else EXPRESS_HINTS)
        bus = int(bus[1], 0)
        model = self.buses.get(bus) or (None if bus else 'pci-root' if self.conventional else 'pcie-root')
        bus_class = next((name for name, models in topology.CLASSES.items() if model in models), None)
        hotpluggable = 'yes' if model in (*PORTS, 'pci-bridge', 'pcie-to-pci-bridge') else None if bus else 'no'
        return self.one((hotpluggable, None, None), (None, bus_class, None), (None, None, model),
                        (hotpluggable, bus_class, model))

    def can_be_near(self, address, hints):
        """Is there a place near a NUMA node for such a device?"""
        return ('bus=' not in address and (self.family == 'pseries' or self.family in ('pc', 'q35') and self.acpi) and
                not re.search("hotpluggable='no'|-root'|-expander|dmi", hints) and not (self.family == 'pc' and 'hotpluggable' in hints))

    def node(self):
        """One of the two, and sometimes one that is not there"""
        return 2 if self.chance(0.01) else self.one(0, 1)

    def preferences(self):
        """<preferences> that the machine knows"""
        rows = []
        express = not self.conventional
        if express and self.chance(0.6):
            rows.append(('pcieHotplugSlots', self.rng.randint(0, 12)))
        if self.family not in NO_PCI and self.chance(0.3 if express else 0.7):
            rows.append(('pciHotplugSlots', self.one(0, self.rng.randint(0, 6), self.rng.randint(0, 40))))
        if self.family not in NO_PCI and self.chance(0.3):
            rows.append(('hotpluggable', self.one('yes', 'yes', 'no')))
        if self.family in MMIO and self.chance(0.3):
            rows.append(('defaultAddressType', 'virtio-mmio' if self.family in NO_PCI else self.one('pci', 'virtio-mmio')))
        self.rng.shuffle(rows)
        rows = [(name, value, '') for name, value in rows]
        # nothing is drawn for a domain without windows: it stays what it was before there were windows
        if self.window_share:
            rows = self.promises(rows)
        if self.node_share:
            can = self.family == 'pseries' or self.family == 'q35' and self.acpi
            rows = [(name, value, f"{more} node='{self.node()}'" if name.endswith('Slots') and self.chance(self.node_share if can else 0.01) else more)
                    for name, value, more in rows]
        lines = ''.join(f"<preference name='{name}' value='{value}'{windows}/>\n" for name, value, windows in rows)
        return f'<preferences>\n{lines}</preferences>\n' if rows or self.chance(0.5) else ''

    def promises(self, rows):
        """The same with windows, and some names several times"""
        result = []
        can = self.family in ('pc', 'q35')
        for name, value, _ in rows:
            slots = name in ('pcieHotplugSlots', 'pciHotplugSlots')
            if not self.chance(self.window_share if can and slots else 0.05):
                result.append((name, value, ''))
                continue
            for _ in range(self.one(1, 1, 2, 3)):
                few = self.rng.randint(1, 3) if self.chance(0.7) else value
                result.append((name, few if slots else value, self.windows(io=name == 'pcieHotplugSlots')))
            if slots and self.chance(0.5):
                result.append((name, value, ''))
        self.rng.shuffle(result)
        return result

    def windows(self, io=True):
        """Attributes of a <target> or <preference>; few of them are such that nobody can have them"""
        if self.chance(0.03):
            return self.one(" memReserve='0'", " ioReserve='6'", " ioReserve='68'", " memReserve='4194304'", " pref64Reserve='x'",
                            " pref64Reserve='4398046511105'", " ioReserve='4'", " ioReserve='-1'")
        return self.good_windows(io)

    def good_windows(self, io=True):
        kinds = [" memReserve='{}'".format(self.one(4, 1024, 1024, 2048, 4096, 16384)),
                 " pref64Reserve='{}'".format(self.one(4, 1024, 65536, 65536, 1048576, 8388608))]
        if io:
            kinds.append(" ioReserve='{}'".format(self.one(0, 4, 4, 4, 8)))
        return ''.join(kind for kind in kinds if self.chance(0.4)) or self.rng.choice(kinds)

    def place(self, virtio):
        if virtio and self.chance(self.mmio_share):
            return "<address type='virtio-mmio'/>"
        if self.chance(0.01):
            return "<address type='pci'/>"
        if not self.chance(self.address_share):
            return ''
        bus = self.rng.choice(list(self.buses))
        if self.chance(self.missing_share):
            bus = max(self.buses) + self.one(1, 1, 1, 2, 3, 7)
        for _ in range(10):
            place = bus, self.slot(bus), 0 if self.chance(0.9) else self.rng.randint(1, 7)
            if place not in self.used or self.chance(0.02):
                break
            bus = self.rng.choice(list(self.buses))
        else:
            return ''
        self.used.add(place)
        return self.pci(*place)

    def slot(self, bus):
        """Most often one that the bus has"""
        if self.chance(0.03):
            return self.rng.randint(0, 31)
        if self.buses.get(bus) in PORTS:
            return 0
        return self.rng.randint(1, 31)

    def pci(self, bus, slot, function=0):
        multifunction = " multifunction='on'" if function == 0 and self.chance(0.1) else ''
        return (f"<address type='pci' domain='0x0000' bus='{bus:#04x}' slot='{slot:#04x}' "
                f"function='{function:#x}'{multifunction}/>")

    def alias(self):
        self.serial += 1
        return f"<alias name='ua-{self.serial}'/>"

    def finish(self, start, inner, tag, address=None):
        if address is None:
            address = self.address('virtio' in start + inner or tag in ('filesystem', 'disk'))
        return f'<{start}>{inner}{self.alias()}{address}</{tag}>'

    def nic(self, model=None):
        model = model or self.one('virtio', 'virtio', 'virtio', 'e1000', 'e1000e', 'e1000e', 'rtl8139', 'rtl8139', '',
                                  'virtio-transitional', 'virtio-non-transitional', 'pcnet', 'ne2k_pci', 'igb',
                                  *(['spapr-vlan'] if self.family == 'pseries' else []))
        mac = f'52:54:00:{self.number >> 8 & 255:02x}:{self.number & 255:02x}:{self.serial & 255:02x}'
        inner = f"<mac address='{mac}'/>" + (f"<model type='{model}'/>" if model else '')
        return self.finish("interface type='user'", inner, 'interface')

    def disk(self, bus=None):
        bus = bus or self.one('virtio', 'virtio', 'virtio', 'virtio', 'scsi', 'sata', 'virtio' if self.usb_none else 'usb')
        n = self.serial
        letters = ''
        while True:
            letters = chr(97 + n % 26) + letters
            n = n // 26 - 1
            if n < 0:
                break
        target = ('vd' if bus == 'virtio' else 'sd') + letters
        model = self.one('', '', '', '', " model='virtio-transitional'", " model='virtio-non-transitional'") if bus == 'virtio' else ''
        inner = f"<source file='/images/{self.serial}'/><target dev='{target}' bus='{bus}'/>"
        return self.finish(f"disk type='file' device='disk'{model}", inner, 'disk', None if bus == 'virtio' else '')

    def rng_device(self):
        model = self.one('virtio', 'virtio', 'virtio', 'virtio-transitional', 'virtio-non-transitional')
        return self.finish(f"rng model='{model}'", "<backend model='random'>/dev/urandom</backend>", 'rng')

    def sound(self):
        return self.finish(f"sound model='{self.one('ich6', 'ich6', 'ich9', 'ac97', 'es1370')}'", '', 'sound')

    def usb(self):
        if self.usb_none:
            return self.nic()
        return self.finish(f"controller type='usb' model='{self.one('qemu-xhci', 'nec-xhci', 'piix3-uhci', 'ich9-ehci1', 'pci-ohci', 'piix4-uhci')}'", '', 'controller')

    def usb_companions(self):
        if 'companions' in self.singles or self.usb_none:
            return self.usb()
        self.singles.add('companions')
        index = self.rng.choice([0, 0, 0, 1, 7])
        written = self.pci(self.rng.choice(list(self.buses)), self.rng.randint(1, 31), 7) if self.chance(0.1) else ''
        devices = [self.finish(f"controller type='usb' index='{index}' model='ich9-ehci1'", '', 'controller', written)]
        for n in (1, 2, 3):
            devices.append(self.finish(f"controller type='usb' index='{index}' model='ich9-uhci{n}'",
                                       f"<master startport='{n * 2 - 2}'/>", 'controller', ''))
        return devices

    def virtio_serial(self):
        model = self.one('', '', " model='virtio-transitional'", " model='virtio-non-transitional'")
        return self.finish(f"controller type='virtio-serial'{model}", '', 'controller')

    def channel(self):
        return self.finish("channel type='pty'", f"<target type='virtio' name='port.{self.serial}'/>", 'channel', '')

    def scsi(self):
        models = ['virtio-scsi', 'virtio-scsi', 'virtio-transitional', 'lsilogic', 'lsisas1068', 'lsisas1078', 'vmpvscsi']
        if self.family == 'pseries':
            models.append('ibmvscsi')
        return self.finish(f"controller type='scsi' model='{self.rng.choice(models)}'", '', 'controller')

    def sata(self):
        return self.finish("controller type='sata'", '', 'controller')

    def single(self, kind, make):
        """A device of which there is only one; any other device instead of a second"""
        if kind in self.singles:
            return self.rng_device()
        self.singles.add(kind)
        return make()

    def watchdog(self):
        return self.single('watchdog', lambda: self.finish(f"watchdog model='{self.one('i6300esb', 'i6300esb', 'ib700')}' action='reset'", '', 'watchdog'))

    def vsock(self):
        return self.single('vsock', lambda: self.finish(f"vsock model='{self.one('virtio', 'virtio', 'virtio-transitional')}'", "<cid auto='no' address='3'/>", 'vsock'))

    def iommu(self):
        if self.family not in ('q35', 'aarch64-virt') or not self.acpi:
            return self.nic()
        model = 'smmuv3' if self.family == 'aarch64-virt' and self.chance(0.4) else self.one('intel', 'virtio') if self.family in X86 else 'virtio'
        return self.single('iommu', lambda: self.finish(f"iommu model='{model}'", '', 'iommu', ''))

    def balloon(self):
        model = self.one('none', 'none', 'virtio', 'virtio-transitional', 'virtio-non-transitional')
        return self.single('memballoon', lambda: "<memballoon model='none'/>" if model == 'none' else
                           self.finish(f"memballoon model='{model}'", '', 'memballoon'))

    def video(self):
        first = 'video' not in self.singles
        self.singles.add('video')
        if first:
            models = ['vga', 'virtio'] + (['cirrus', 'vga', 'bochs', 'qxl'] if self.family in X86 else ['virtio', 'virtio'])
        else:
            models = ['qxl', 'virtio', 'virtio', 'virtio', 'virtio']
        model = self.rng.choice(models)
        return self.finish('video', f"<model type='{model}'/>", 'video')

    def graphics(self):
        return self.single('graphics', lambda: "<graphics type='vnc' port='-1' autoport='yes'/>")

    def input(self):
        kind = self.one('mouse', 'keyboard', 'tablet', 'passthrough')
        source = f"<source evdev='/dev/input/event{self.serial}'/>" if kind == 'passthrough' else ''
        return self.finish(f"input type='{kind}' bus='virtio'", source, 'input')

    def shmem(self):
        return self.finish(f"shmem name='shmem{self.serial}'", f"<model type='ivshmem-plain'/><size unit='M'>{self.one(1, 4)}</size>", 'shmem')

    def serial_port(self):
        return self.finish("serial type='pty'", f"<target type='pci-serial' port='{self.serial % 4}'/>", 'serial')

    def filesystem(self):
        model = self.one('', '', " model='virtio-transitional'", " model='virtio-non-transitional'")
        return self.finish(f"filesystem type='mount' accessmode='passthrough'{model}",
                           f"<source dir='/export/{self.serial}'/><target dir='tag{self.serial}'/>", 'filesystem')

    def crypto(self):
        return self.finish("crypto model='virtio' type='qemu'", "<backend model='builtin' queues='1'/>", 'crypto')

    def hostdev(self):
        # a device that no host has
        return self.finish("hostdev mode='subsystem' type='pci' managed='no'",
                           f"<driver name='vfio'/><source><address domain='0x0000' bus='0xfe' slot='{self.serial % 32:#04x}' "
                           f"function='{self.serial // 32 % 8:#x}'/></source>", 'hostdev')

    def mdev(self):
        return self.finish("hostdev mode='subsystem' type='mdev' managed='no' model='vfio-pci'",
                           f"<source><address uuid='00000000-0000-4000-9000-{self.serial:012x}'/></source>", 'hostdev')

    def device(self, kinds=None):
        make = self.rng.choice(kinds or self.all_kinds())
        devices = make(self)
        return devices if isinstance(devices, list) else [devices]

    def all_kinds(self):
        cls = Generator
        kinds = [cls.nic] * 8 + [cls.disk] * 5 + [cls.rng_device] * 3 + [cls.input] * 2 + [cls.filesystem] * 2 + [
            cls.sound, cls.virtio_serial, cls.channel, cls.scsi, cls.scsi, cls.usb, cls.watchdog, cls.vsock, cls.balloon,
            cls.shmem, cls.serial_port, cls.crypto, cls.hostdev, cls.mdev, cls.video, cls.graphics, cls.iommu, cls.sata]
        if self.family in X86 or self.chance(0.3):
            kinds += [cls.usb_companions, cls.sound, cls.video]
        return kinds

    # -- PCI controllers ------------------------------------------------------------------------

    def model(self):
        if self.family == 'pseries':
            return self.one('pci-root', 'pci-root', 'pci-root', 'pci-bridge', 'pci-bridge')
        if self.conventional and self.family != 'pc':
            return 'pci-bridge'
        return self.rng.choice(CONVENTIONAL_MODELS if self.conventional else EXPRESS_MODELS)

    def controller(self, model, index=None, address='', written=False):
        inner = ''
        if model in ('pcie-expander-bus', 'pci-expander-bus') and self.chance(0.5):
            inner += f"<target busNr='{self.rng.randint(100, 250)}'/>"
        elif model in ('pcie-root-port', 'pcie-switch-downstream-port') and self.chance(0.15):
            inner += "<target hotplug='off'/>"
        elif model in ('pci-bridge', 'pci-root') and self.chance(0.15) and index:
            if model == 'pci-bridge':
                inner += f"<target chassisNr='{index}'/>"
            else:
                inner += f"<target index='{index}'/>"
        elif model == 'pci-root' and self.chance(0.2):
            inner += "<target hotplug='off'/>"
        # as above, nothing is drawn for a domain without windows
        if self.window_share and self.chance(self.window_share if model in ('pcie-root-port', 'pci-bridge') else 0.01):
            inner = inner or '<target/>'
            inner = inner.replace('/>', f'{self.windows()}/>')
        if self.node_share and model in ('pci-expander-bus', 'pcie-expander-bus', 'pci-root') and index != 0 and self.chance(0.5):
            inner = (inner or '<target/>').replace('/>', f'><node>{self.node()}</node></target>')
        where = '' if index is None else f" index='{index}'"
        return f"<controller type='pci'{where} model='{model}'>{inner}{address}</controller>"

    def controllers(self):
        """Given PCI controllers: any model, with and without index, gaps, address"""
        count = self.one(1, 1, 1, 2, 2, 3, 3, 4, 5, 6, 8, 10, 14, 20)
        root = 'pci-root' if self.conventional else 'pcie-root'
        indexed = self.chance(0.75)
        listed = self.chance(0.7 if indexed else 0.9)
        addressed = self.one(0, 0, 0, 0.3, 0.9) if indexed else 0
        gaps = self.chance(0.2)
        # most often one kind of controllers, as people do, so that most domains are legal
        models = [self.model() for _ in range(self.one(1, 1, 2, 3, 4))]
        result = [f"<controller type='pci' index='0' model='{root}'/>"] if listed else []
        index = 0
        free = {0: 1}       # next free slot of each bus, for addresses that make sense
        for _ in range(count):
            model = self.rng.choice(models)
            index += self.one(2, 3, 5) if gaps and self.chance(0.2) else 1
            address = ''
            if model != 'pci-root' and self.chance(addressed):
                accepts = PLUGS.get(model, ())
                fitting = [bus for bus in self.buses if (self.buses[bus] or root) in accepts]
                bus = self.rng.choice(fitting or list(self.buses)) if self.chance(0.93) else index + self.one(-1, 0, 1, 2)
                slot = free.get(bus, 0 if self.buses.get(bus) in PORTS else 1) if self.chance(0.9) else self.rng.randint(0, 31)
                free[bus] = slot + 1
                self.used.add((bus, slot, 0))
                address = self.pci(bus, slot)
            result.append(self.controller(model, index if indexed else None, address))
            self.buses[index] = model
        if self.chance(0.15):
            self.rng.shuffle(result)
        return result

    # -- whole domains --------------------------------------------------------------------------

    def count(self):
        pick = self.rng.random()
        if pick < 0.5:
            return self.rng.randint(0, 12)
        if pick < 0.6:
            return self.rng.randint(12, 40)
        if pick < 0.95:
            return self.rng.choice(BOUNDARIES)
        return self.rng.randint(30, 240)

    def head(self):
        arch, machine, program, _ = FAMILIES[self.family]
        self.acpi = self.family in ('pc', 'q35') and self.chance(0.8)
        features = '<acpi/>' if self.acpi else ''
        if self.family in ('aarch64-virt', 'armv7l-virt') and self.chance(0.5):
            features += "<gic version='2'/>"
        number = self.number & 0xffffffffffff
        cells = ''.join(f"<cell id='{cell}' cpus='{cell}' memory='128' unit='MiB'/>" for cell in (0, 1))
        return (f"<domain type='qemu'>\n<name>{self.name}</name>\n<uuid>00000000-0000-4000-8000-{number:012x}</uuid>\n"
                f"<memory unit='MiB'>256</memory>\n<vcpu>{2 if self.node_share else 1}</vcpu>\n"
                f"<os><type arch='{arch}' machine='{machine}'>hvm</type></os>\n"
                + (f'<features>{features}</features>\n' if features else '')
                + (f'<cpu><numa>{cells}</numa></cpu>\n' if self.node_share else ''))

    def domain(self):
        self.mmio_share = self.one(0, 0, 0, 0, 0.1, 0.9) if self.family in MMIO else 0
        head = self.head()
        elements = [f'<emulator>{emulator(FAMILIES[self.family][2])}</emulator>']
        style = self.rng.random()
        if style > 0.45:
            elements += self.controllers()
            if style > 0.7:
                self.address_share = self.one(0.05, 0.2, 0.6)
        elif style > 0.4:
            self.address_share = self.one(0.02, 0.1, 0.5)
            self.missing_share = self.one(0.06, 0.3, 0.6)
        kinds = None
        if self.chance(0.5):
            # many of a kind: what fills buses to the brim
            everything = self.all_kinds()
            kinds = [self.rng.choice(everything) for _ in range(self.one(1, 1, 2))]
            if self.chance(0.5):
                model = self.one('virtio', 'virtio', 'e1000', 'e1000e', 'rtl8139')
                kinds[0] = lambda generator: generator.nic(model)
        for _ in range(self.count()):
            elements += self.device(kinds)
        if self.chance(0.3) and 'memballoon' not in self.singles:
            elements.append(self.balloon())
        if self.chance(0.3) and not any('usb' in text for text in elements):
            self.usb_none = True
            elements.append("<controller type='usb' model='none'/>")
        return Domain(self.name, head, elements, self.family)

    def edited(self, dump):
        """The domain of a dump with some devices gone, some addresses forgotten, some devices new"""
        domain = of_dump(dump, self.family)
        self.serial += 1000
        self.mmio_share = 0
        self.address_share = self.one(0, 0, 0.1)
        self.singles |= {'watchdog', 'vsock', 'iommu', 'memballoon', 'graphics', 'companions', 'video'}
        lose, forget = self.one(0, 0.1, 0.5), self.one(0, 0.1, 0.5, 1)
        lose_controllers = self.one(0, 0, 0, 0.1, 0.4)
        elements = []
        for text in domain.elements:
            pci_controller = text.startswith('<controller type="pci"')
            root = pci_controller and re.search(r'model="pcie?-root"', text)
            if text.startswith('<emulator') or root:
                elements.append(text)
                continue
            if self.chance(lose_controllers if pci_controller else lose):
                continue
            if self.chance(forget * (0.3 if pci_controller else 1)):
                text = re.sub(r'<address type="pci" [^>]*>', '', text)
            elements.append(text)
        self.buses = {0: None}
        self.used = set()
        for text in elements:
            place = re.search(r'<address type="pci" domain="0x0000" bus="(\w+)" slot="(\w+)" function="(\w+)"', text)
            if place:
                self.used.add(tuple(int(part, 0) for part in place.groups()))
            controller = re.match(r'<controller type="pci" index="(\d+)" model="([a-z-]+)"', text)
            if controller:
                self.buses[int(controller[1])] = controller[2]
        for _ in range(self.one(0, 1, 2, 5, 31, 60)):
            elements += self.device()
        return domain.but(elements)
