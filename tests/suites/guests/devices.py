# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every type of device that libvirt can attach to PCI while the guest runs."""

import re

import slots
from lab import LONG, PC, PSERIES, Q35, VIRT, NotHere, nic, rng
from parts import unless
from topology import Guest, changed_topology, shared

NIC_MODELS = ('virtio', 'virtio-transitional', 'virtio-non-transitional', 'e1000', 'e1000e', 'rtl8139', 'ne2k_pci', 'pcnet',
              'i82550', 'i82551', 'i82557b', 'i82559er', 'vmxnet3', 'tulip', 'igb', 'spapr-vlan')
SCSI_MODELS = ('virtio-scsi', 'lsilogic', 'lsisas1068', 'lsisas1078', 'buslogic', 'ibmvscsi', 'vmpvscsi', 'am53c974', 'dc390')
USB_MODELS = ('qemu-xhci', 'nec-xhci', 'ich9-ehci1', 'piix3-uhci', 'pci-ohci', 'ehci')


def disk(path, bus='virtio', target='vdb'):
    return (f"<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='{path}'/>"
            f"<target dev='{target}' bus='{bus}'/><alias name='ua-l'/></disk>")


def controller(kind, model=None):
    given = f" model='{model}'" if model else ''
    return f"<controller type='{kind}' index='7'{given}><alias name='ua-l'/></controller>"


def types(image):
    """(what, XML) of all that is attached"""
    yield 'disk virtio', disk(image)
    yield 'disk virtio-transitional', disk(image).replace("device='disk'", "device='disk' model='virtio-transitional'")
    yield 'disk scsi, which brings a controller', disk(image, 'scsi', 'sdb')
    yield from ((f'NIC {model}', nic('l', model, mac=1)) for model in NIC_MODELS)
    yield from ((f'SCSI controller {model}', controller('scsi', model)) for model in SCSI_MODELS)
    yield from ((f'USB controller {model}', controller('usb', model)) for model in USB_MODELS)
    yield from ((f'{kind} controller', controller(kind)) for kind in ('virtio-serial', 'sata', 'ide', 'fdc', 'ccid'))
    # complete as in a definition; libvirt 9.0.0 calls it an internal error if something is missing
    yield from ((f'PCI controller {model}', f"<controller type='pci' model='{model}' index='40'><model name='{name}'/>{target}"
                                            "<alias name='ua-l'/></controller>")
                for model, name, target in (('pci-bridge', 'pci-bridge', "<target chassisNr='40'/>"),
                                            ('pcie-root-port', 'pcie-root-port', "<target chassis='40' port='0x40'/>"),
                                            ('pcie-to-pci-bridge', 'pcie-pci-bridge', '')))
    yield 'rng', rng('l')
    yield 'rng virtio-transitional', rng('l').replace("model='virtio'", "model='virtio-transitional'")
    yield 'watchdog i6300esb', "<watchdog model='i6300esb' action='none'><alias name='ua-l'/></watchdog>"
    yield 'watchdog diag288', "<watchdog model='diag288' action='none'><alias name='ua-l'/></watchdog>"
    yield 'vsock', "<vsock model='virtio'><cid auto='no' address='77'/><alias name='ua-l'/></vsock>"
    yield from ((f'input {kind} virtio', f"<input type='{kind}' bus='virtio'><alias name='ua-l'/></input>")
                for kind in ('keyboard', 'mouse', 'tablet'))
    yield 'shmem ivshmem-plain', ("<shmem name='pcitopo'><model type='ivshmem-plain'/><size unit='M'>1</size>"
                                  "<alias name='ua-l'/></shmem>")
    yield from ((f'sound {model}', f"<sound model='{model}'><alias name='ua-l'/></sound>") for model in ('ich6', 'ich9', 'ac97', 'es1370'))
    yield from ((f'video {model}', f"<video><model type='{model}'/><alias name='ua-l'/></video>") for model in ('virtio', 'qxl', 'bochs'))
    yield 'memballoon', "<memballoon model='virtio'><alias name='ua-l'/></memballoon>"
    yield 'filesystem', ("<filesystem type='mount'><source dir='/usr/share'/><target dir='share'/>"
                         "<alias name='ua-l'/></filesystem>")
    yield 'iommu virtio', "<iommu model='virtio'/>"
    yield 'panic pvpanic', "<panic model='pvpanic'/>"
    yield 'serial pci-serial', "<serial type='null'><target type='pci-serial'><model name='pci-serial'/></target><alias name='ua-l'/></serial>"
    yield 'redirdev', "<redirdev bus='usb' type='tcp'><source mode='bind' host='127.0.0.1' service='0'/><alias name='ua-l'/></redirdev>"
    yield 'hostdev that is not there', ("<hostdev mode='subsystem' type='pci' managed='no'><source>"
                                        "<address domain='0xfff0' bus='0xfe' slot='0x1f' function='0x7'/></source><alias name='ua-l'/></hostdev>")


def devices(bench):
    express, conventional = {'pcieHotplugSlots': 2, 'pciHotplugSlots': 1}, {'pciHotplugSlots': 2}
    for machine, prefs in ((Q35, express), (PC, conventional), (PSERIES, conventional), *(((VIRT, express),) if LONG else ())):
        if not bench.have(machine, 'devices'):
            continue
        with bench.lab() as lab:
            image = lab.root / 'work' / 'image'
            with open(image, 'wb') as empty:
                empty.truncate(1 << 20)
            lab.define('g', machine.domain('g', rng('cold'), prefs))
            for what, xml in types(image):
                with bench.point('devices', machine, what) as faults:
                    faults += arrives_or_refused(lab, machine, xml)


def arrives_or_refused(lab, machine, xml):
    """Faults: QEMU refused what libvirt allowed, or it is elsewhere than libvirt says, or a refused device left something"""
    ok, state = lab.run('domstate g')
    if state.strip() != 'paused':
        lab.must('start g --paused')
    text = lab.dump('g', live=True)
    before = Guest(text)
    free = set().union(*slots.free_slots(before).values())
    ok, answer = lab.attach('g', xml, '--live')
    after = Guest(lab.dump('g', live=True))
    faults = lab.misplaced('g') + shared(after)
    came = {name: where for name, where in after.pci_addresses().items() if name not in before.pci_addresses()}
    if ok:
        faults += unless(came, 'it was accepted and has no PCI address')
        faults += [f'{name} is at {where}, which is no free slot that can hotplug' for name, where in came.items() if where[1:3] not in free]
        faults += changed_topology(before, after)
        lab.run('destroy g')
    else:
        if 'is not a valid device model name' in answer:
            # libvirt does not ask each QEMU for all of these
            raise NotHere(answer.strip().splitlines()[-1])
        faults += unless(not re.search('QEMU command|internal error|unknown error', answer), f'not libvirt refused: {answer.strip()}')
        faults += unless(after.devices.keys() == before.devices.keys(), 'it was refused, but the devices are others than before')
        faults += changed_topology(before, after)
    return faults
