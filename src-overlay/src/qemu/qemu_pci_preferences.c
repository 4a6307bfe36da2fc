/*
 * qemu_pci_preferences.c: keeping what <preferences> and hints ask for
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What can be decided from the row of the machine is decided here: whether a
 * preference or hint makes sense, and what it means for the connect flags of
 * a device. Slots are found elsewhere.
 */

#include <config.h>

#include "qemu_pci_preferences.h"
#include "qemu_domain.h"
#include "virerror.h"
#include "virlog.h"

#define VIR_FROM_THIS VIR_FROM_QEMU

VIR_LOG_INIT("qemu.qemu_pci_preferences");

static const struct {
    virDomainPreference preference;
    virDomainPCIConnectFlags slot;
} qemuPCISlotClasses[] = {
    [QEMU_PCI_SLOTS_EXPRESS] = {
        VIR_DOMAIN_PREFERENCE_PCIE_HOTPLUG_SLOTS,
        VIR_PCI_CONNECT_TYPE_PCIE_DEVICE,
    },
    [QEMU_PCI_SLOTS_CONVENTIONAL] = {
        VIR_DOMAIN_PREFERENCE_PCI_HOTPLUG_SLOTS,
        VIR_PCI_CONNECT_TYPE_PCI_DEVICE,
    },
};

G_STATIC_ASSERT(G_N_ELEMENTS(qemuPCISlotClasses) == QEMU_PCI_SLOTS_LAST);


static int
qemuPCIPreferencesRefuse(const virDomainDef *def,
                         virDomainPreference which,
                         const char *reason)
{
    virReportError(VIR_ERR_CONFIG_UNSUPPORTED,
                   _("preference '%1$s' is not supported for machine type '%2$s': %3$s"),
                   virDomainPreferenceTypeToString(which), def->os.machine, reason);
    return -1;
}


static int
qemuPCIPreferencesCheckTransport(const virDomainDef *def,
                                 const qemuPCIPolicy *policy,
                                 virQEMUCaps *qemuCaps)
{
    virDomainPreference which = VIR_DOMAIN_PREFERENCE_DEFAULT_ADDRESS_TYPE;

    if (def->preferences->defaultAddressType == VIR_DOMAIN_DEVICE_ADDRESS_TYPE_PCI &&
        policy->root == VIR_DOMAIN_CONTROLLER_MODEL_PCI_DEFAULT)
        return qemuPCIPreferencesRefuse(def, which, _("it has no PCI"));

    if (def->preferences->defaultAddressType == VIR_DOMAIN_DEVICE_ADDRESS_TYPE_VIRTIO_MMIO &&
        (policy->virtio == QEMU_PCI_VIRTIO_MACHINE ||
         !virQEMUCapsGet(qemuCaps, QEMU_CAPS_DEVICE_VIRTIO_MMIO)))
        return qemuPCIPreferencesRefuse(def, which, _("it has no virtio-mmio"));

    return 0;
}


/**
 * qemuPCIPreferencesCheck:
 * @def: domain definition
 * @policy: row of its machine
 * @qemuCaps: capabilities of the QEMU binary
 *
 * Can the machine do what <preferences> asks for at all?
 *
 * Returns: 0 if it can, -1 with VIR_ERR_CONFIG_UNSUPPORTED reported
 */
int
qemuPCIPreferencesCheck(const virDomainDef *def,
                        const qemuPCIPolicy *policy,
                        virQEMUCaps *qemuCaps)
{
    const virDomainPreferences *prefs = def->preferences;
    bool hasPCI = policy->root != VIR_DOMAIN_CONTROLLER_MODEL_PCI_DEFAULT;

    if (virDomainPreferencesGiven(prefs, VIR_DOMAIN_PREFERENCE_PCIE_HOTPLUG_SLOTS) &&
        (!hasPCI || policy->expressSlot != VIR_PCI_CONNECT_TYPE_PCIE_DEVICE)) {
        return qemuPCIPreferencesRefuse(def, VIR_DOMAIN_PREFERENCE_PCIE_HOTPLUG_SLOTS,
                                        _("it has no PCI Express slots"));
    }

    if (virDomainPreferencesGiven(prefs, VIR_DOMAIN_PREFERENCE_PCI_HOTPLUG_SLOTS) &&
        !hasPCI) {
        return qemuPCIPreferencesRefuse(def, VIR_DOMAIN_PREFERENCE_PCI_HOTPLUG_SLOTS,
                                        _("it has no PCI"));
    }

    if (virDomainPreferencesGiven(prefs, VIR_DOMAIN_PREFERENCE_HOTPLUGGABLE) &&
        !hasPCI) {
        return qemuPCIPreferencesRefuse(def, VIR_DOMAIN_PREFERENCE_HOTPLUGGABLE,
                                        _("it has no PCI"));
    }

    if (virDomainPreferencesGiven(prefs, VIR_DOMAIN_PREFERENCE_DEFAULT_ADDRESS_TYPE))
        return qemuPCIPreferencesCheckTransport(def, policy, qemuCaps);

    return 0;
}


/* The most slots of a class that a guest without devices can have */
static int
qemuPCIPreferencesMeasure(virDomainDef *template,
                          const qemuPCIPolicy *policy,
                          virQEMUCaps *qemuCaps,
                          virQEMUDriver *driver,
                          qemuPCISlots class,
                          qemuPCIPromiseMeasure measure,
                          unsigned int *possible)
{
    g_autoptr(virDomainDef) def = virDomainDefNew(driver->xmlopt);
    qemuPCIPromise promise = { 0 };

    if (!def)
        return -1;

    def->virtType = template->virtType;
    def->os.arch = template->os.arch;
    def->os.machine = g_strdup(template->os.machine);
    def->features[VIR_DOMAIN_FEATURE_ACPI] = VIR_TRISTATE_SWITCH_ON;

    if (!virDomainDefAddController(def, VIR_DOMAIN_CONTROLLER_TYPE_PCI, 0,
                                   policy->root))
        return -1;

    promise.asked[class] = promise.possible[class] = UINT_MAX;

    if (measure(def, qemuCaps, driver, &promise) < 0)
        return -1;

    *possible = promise.possible[class];
    return 0;
}


/**
 * qemuPCIPreferencesCaps:
 * @driver: QEMU driver
 * @qemuCaps: capabilities of the QEMU binary
 * @machine: machine type
 * @arch: architecture
 * @virtType: virtualization type
 * @measure: plans the controllers for a promise, and says how much of it is
 *           possible
 *
 * Returns: what the machine type can be asked for, to be freed by the caller
 *          with g_free(), or NULL with an error reported
 */
virDomainPreferencesCaps *
qemuPCIPreferencesCaps(virQEMUDriver *driver,
                       virQEMUCaps *qemuCaps,
                       const char *machine,
                       virArch arch,
                       virDomainVirtType virtType,
                       qemuPCIPromiseMeasure measure)
{
    g_autofree virDomainPreferencesCaps *caps = g_new0(virDomainPreferencesCaps, 1);
    g_autofree virDomainPCIGrowthRules *rules = NULL;
    g_autoptr(virDomainDef) def = virDomainDefNew(driver->xmlopt);
    const qemuPCIPolicy *policy;
    size_t i;

    if (!def)
        return NULL;

    def->virtType = virtType;
    def->os.arch = arch;
    def->os.machine = g_strdup(machine);

    if (!(policy = qemuPCIPolicyForMachine(def)))
        return g_steal_pointer(&caps);

    for (i = 0; i < QEMU_PCI_SLOTS_LAST; i++) {
        virDomainPreference which = qemuPCISlotClasses[i].preference;

        if (i == QEMU_PCI_SLOTS_EXPRESS &&
            policy->expressSlot != VIR_PCI_CONNECT_TYPE_PCIE_DEVICE)
            continue;

        caps->supported[which] = true;
        if (qemuPCIPreferencesMeasure(def, policy, qemuCaps, driver, i,
                                      measure, &caps->slotsMax[which]) < 0)
            return NULL;
    }

    caps->supported[VIR_DOMAIN_PREFERENCE_DEFAULT_ADDRESS_TYPE] = true;
    caps->supported[VIR_DOMAIN_PREFERENCE_HOTPLUGGABLE] = true;
    caps->virtioMMIO = policy->virtio != QEMU_PCI_VIRTIO_MACHINE &&
        virQEMUCapsGet(qemuCaps, QEMU_CAPS_DEVICE_VIRTIO_MMIO);

    rules = qemuPCIPolicyGrowthRules(policy, qemuCaps);
    for (i = 0; i < rules->nmodels; i++)
        caps->models |= 1 << rules->models[i];

    return g_steal_pointer(&caps);
}


/**
 * qemuPCIPromiseInit:
 * @promise: promise to fill
 * @prefs: what the user prefers, or NULL for a promise of nothing
 */
void
qemuPCIPromiseInit(qemuPCIPromise *promise,
                   const virDomainPreferences *prefs)
{
    size_t i;

    for (i = 0; i < QEMU_PCI_SLOTS_LAST; i++) {
        promise->asked[i] = virDomainPreferencesSlots(prefs, qemuPCISlotClasses[i].preference);
        promise->possible[i] = promise->asked[i];
    }
}


/**
 * qemuPCIPromiseReserve:
 * @promise: promise to keep
 * @addrs: address set, on a dry run, in which all devices are placed
 *
 * Makes sure that there are as many free slots as promised: those that are
 * there count, controllers are added for the rest. If not all are possible,
 * @promise remembers how many are; a later run may find more, when added
 * controllers have their places.
 *
 * Returns: 0 on success, -1 with an error reported
 */
int
qemuPCIPromiseReserve(qemuPCIPromise *promise,
                      virDomainPCIAddressSet *addrs)
{
    size_t i;

    for (i = 0; i < QEMU_PCI_SLOTS_LAST; i++) {
        unsigned int n;

        for (n = 0; n < promise->asked[i]; n++) {
            int rc = virDomainPCIGrowthReserveSpare(addrs,
                                                    qemuPCISlotClasses[i].slot |
                                                    VIR_PCI_CONNECT_HOTPLUGGABLE);

            if (rc < 0)
                return -1;
            if (rc == 0)
                break;
        }

        promise->possible[i] = n;
    }

    return 0;
}


/**
 * qemuPCIPromiseCheck:
 * @promise: promise for which slots have been reserved
 *
 * Returns: 0 if the promise can be kept, -1 with VIR_ERR_CONFIG_UNSUPPORTED
 *          reported if not
 */
int
qemuPCIPromiseCheck(const qemuPCIPromise *promise)
{
    size_t i;

    for (i = 0; i < QEMU_PCI_SLOTS_LAST; i++) {
        if (promise->possible[i] < promise->asked[i]) {
            virReportError(VIR_ERR_CONFIG_UNSUPPORTED,
                           _("preference '%1$s' asks for %2$u free slots, but this guest can have %3$u at most"),
                           virDomainPreferenceTypeToString(qemuPCISlotClasses[i].preference),
                           promise->asked[i], promise->possible[i]);
            return -1;
        }
    }

    return 0;
}


static int
qemuPCIHintsRefuse(const virDomainDeviceDef *dev,
                   const char *reason)
{
    g_autofree char *name = virDomainPCIDeviceName(dev);

    virReportError(VIR_ERR_CONFIG_UNSUPPORTED,
                   _("unsupported <address> of %1$s: %2$s"), name, reason);
    return -1;
}


/* Devices of the chipset come where the chipset has them, and the parts of a
 * USB2 controller share a slot with the first: that they cannot be
 * hotpluggable is no reason to refuse a guest. */
static bool
qemuPCIHintsHasFixedPlace(const virDomainDeviceDef *dev,
                          virTristateBool hotpluggable)
{
    return hotpluggable == VIR_TRISTATE_BOOL_YES &&
        dev->type == VIR_DOMAIN_DEVICE_CONTROLLER &&
        (IS_USB2_CONTROLLER(dev->data.controller) ||
         (dev->data.controller->idx == 0 &&
          (dev->data.controller->type == VIR_DOMAIN_CONTROLLER_TYPE_SATA ||
           dev->data.controller->type == VIR_DOMAIN_CONTROLLER_TYPE_IDE)));
}


/**
 * qemuPCIHintsApply:
 * @dev: a device
 * @info: its info, with the connect flags that suit it best
 * @prefs: preferences of the domain, or NULL if they do not matter for @dev
 *
 * Changes the connect flags of a device without an address to what the user
 * asks for, for the device or else for all devices.
 */
void
qemuPCIHintsApply(const virDomainDeviceDef *dev,
                  virDomainDeviceInfo *info,
                  const virDomainPreferences *prefs)
{
    const virDomainPCIHints *hints = &info->pciHints;
    virTristateBool hotpluggable = hints->hotpluggable;
    virDomainPCIConnectFlags flags = info->pciConnectFlags;
    bool isPCIController = dev->type == VIR_DOMAIN_DEVICE_CONTROLLER &&
        dev->data.controller->type == VIR_DOMAIN_CONTROLLER_TYPE_PCI;

    if (isPCIController || !(flags & VIR_PCI_CONNECT_TYPES_ENDPOINT) ||
        !virDeviceInfoPCIAddressIsWanted(info))
        return;

    if (hotpluggable == VIR_TRISTATE_BOOL_ABSENT && !hints->hasConnection && prefs &&
        !(flags & VIR_PCI_CONNECT_INTEGRATED) &&
        !qemuPCIHintsHasFixedPlace(dev, prefs->hotpluggable))
        hotpluggable = prefs->hotpluggable;

    if (hints->hasConnection) {
        flags |= VIR_PCI_CONNECT_TYPES_ENDPOINT;
        flags &= ~VIR_PCI_CONNECT_AUTOASSIGN;
    }

    if (hotpluggable == VIR_TRISTATE_BOOL_NO && !hints->hasConnection)
        flags |= VIR_PCI_CONNECT_TYPES_ENDPOINT | VIR_PCI_CONNECT_INTEGRATED;

    if (hints->busHint != VIR_DOMAIN_PCI_BUS_HINT_DEFAULT) {
        flags &= ~VIR_PCI_CONNECT_TYPES_ENDPOINT;
        flags |= hints->busHint == VIR_DOMAIN_PCI_BUS_HINT_PCIE ?
            VIR_PCI_CONNECT_TYPE_PCIE_DEVICE : VIR_PCI_CONNECT_TYPE_PCI_DEVICE;
    }

    if (hotpluggable == VIR_TRISTATE_BOOL_YES)
        flags |= VIR_PCI_CONNECT_HOTPLUGGABLE;

    info->pciConnectFlags = flags;
}


/* Do the hints of a device contradict each other? */
static const char *
qemuPCIHintsContradiction(const virDomainPCIHints *hints,
                          virDomainPCIConnectFlags flags,
                          const qemuPCIPolicy *policy)
{
    virDomainPCIConnectFlags slot = VIR_PCI_CONNECT_TYPES_ENDPOINT;
    bool onRoot = hints->hotpluggable == VIR_TRISTATE_BOOL_NO ||
        flags & VIR_PCI_CONNECT_INTEGRATED;

    if (hints->busHint == VIR_DOMAIN_PCI_BUS_HINT_PCIE)
        slot = VIR_PCI_CONNECT_TYPE_PCIE_DEVICE;
    else if (hints->busHint == VIR_DOMAIN_PCI_BUS_HINT_PCI)
        slot = VIR_PCI_CONNECT_TYPE_PCI_DEVICE;

    if (hints->hotpluggable == VIR_TRISTATE_BOOL_YES &&
        flags & VIR_PCI_CONNECT_INTEGRATED &&
        policy->root == VIR_DOMAIN_CONTROLLER_MODEL_PCIE_ROOT)
        return _("hotpluggable='yes' is not possible for a device that is integrated into the root bus");

    if (hints->busHint == VIR_DOMAIN_PCI_BUS_HINT_PCIE &&
        policy->expressSlot != VIR_PCI_CONNECT_TYPE_PCIE_DEVICE)
        return _("busHint='pcie' is not possible because the machine type has no PCI Express slots");

    if (onRoot && !(slot & policy->expressSlot))
        return _("busHint='pci' contradicts a place on the PCI Express root bus");

    if (!hints->hasConnection)
        return NULL;

    if (!virDomainPCITopologyModelOffers(hints->connection, VIR_PCI_CONNECT_TYPES_ENDPOINT) &&
        hints->connection != VIR_DOMAIN_CONTROLLER_MODEL_PCIE_ROOT)
        return _("the controller model of 'preferredConnection' takes no such device");

    if (!virDomainPCITopologyModelOffers(hints->connection, slot))
        return _("'busHint' contradicts 'preferredConnection'");

    if (hints->hotpluggable == VIR_TRISTATE_BOOL_YES &&
        !virDomainPCITopologyModelOffers(hints->connection,
                                         slot | VIR_PCI_CONNECT_HOTPLUGGABLE))
        return _("hotpluggable='yes' contradicts 'preferredConnection'");

    if (onRoot && (virDomainControllerModelPCI)hints->connection != policy->root)
        return _("a place on the root bus contradicts 'preferredConnection'");

    return NULL;
}


static int
qemuPCIHintsCheckIter(virDomainDef *def G_GNUC_UNUSED,
                      virDomainDeviceDef *dev,
                      virDomainDeviceInfo *info,
                      void *opaque)
{
    const qemuPCIPolicy *policy = opaque;
    const char *reason;

    if (!virDomainPCIHintsGiven(&info->pciHints))
        return 0;

    if (dev->type == VIR_DOMAIN_DEVICE_CONTROLLER &&
        dev->data.controller->type == VIR_DOMAIN_CONTROLLER_TYPE_PCI)
        return qemuPCIHintsRefuse(dev, _("'hotpluggable', 'busHint' and 'preferredConnection' are not supported for PCI controllers"));

    /* some devices of pseries have been given another type of address by now */
    if (!info->pciConnectFlags || info->type != VIR_DOMAIN_DEVICE_ADDRESS_TYPE_PCI)
        return qemuPCIHintsRefuse(dev, _("the device takes no PCI address"));

    if (policy->root == VIR_DOMAIN_CONTROLLER_MODEL_PCI_DEFAULT)
        return qemuPCIHintsRefuse(dev, _("the machine type has no PCI"));

    if ((reason = qemuPCIHintsContradiction(&info->pciHints, info->pciConnectFlags, policy)))
        return qemuPCIHintsRefuse(dev, reason);

    return 0;
}


/**
 * qemuPCIHintsCheck:
 * @def: domain definition with the connect flags of all devices
 * @policy: row of its machine
 *
 * Refuses hints that contradict each other, the device or the machine.
 *
 * Returns: 0 on success, -1 with VIR_ERR_CONFIG_UNSUPPORTED reported
 */
int
qemuPCIHintsCheck(virDomainDef *def,
                  const qemuPCIPolicy *policy)
{
    return virDomainDeviceInfoIterate(def, qemuPCIHintsCheckIter, (void *)policy);
}


/* Does an address on @busNr contradict the hints beside it? */
static const char *
qemuPCIHintsPlaceContradiction(const virDomainPCIHints *hints,
                               const virDomainPCIAddressBus *bus,
                               size_t busNr)
{
    if (hints->hotpluggable == VIR_TRISTATE_BOOL_YES &&
        !(bus->flags & VIR_PCI_CONNECT_HOTPLUGGABLE))
        return _("hotpluggable='yes', but the bus of the address does not support hotplug");

    if (hints->hotpluggable == VIR_TRISTATE_BOOL_NO && busNr != 0)
        return _("hotpluggable='no', but the address is not on the root bus");

    if ((hints->busHint == VIR_DOMAIN_PCI_BUS_HINT_PCIE &&
         !(bus->flags & VIR_PCI_CONNECT_TYPE_PCIE_DEVICE)) ||
        (hints->busHint == VIR_DOMAIN_PCI_BUS_HINT_PCI &&
         !(bus->flags & VIR_PCI_CONNECT_TYPE_PCI_DEVICE)))
        return _("the bus of the address contradicts 'busHint'");

    if (hints->hasConnection && (int)bus->model != hints->connection)
        return _("the bus of the address contradicts 'preferredConnection'");

    return NULL;
}


static int
qemuPCIHintsCheckPlace(const virDomainDeviceDef *dev,
                       const virDomainDeviceInfo *info,
                       virDomainPCIAddressSet *addrs)
{
    size_t busNr = info->addr.pci.bus;
    const char *reason;

    if (!virDomainPCIHintsGiven(&info->pciHints) ||
        !virDeviceInfoPCIAddressIsPresent(info) || busNr >= addrs->nbuses)
        return 0;

    if ((reason = qemuPCIHintsPlaceContradiction(&info->pciHints,
                                                 &addrs->buses[busNr], busNr)))
        return qemuPCIHintsRefuse(dev, reason);

    return 0;
}


static int
qemuPCIHintsCheckPlacesIter(virDomainDef *def G_GNUC_UNUSED,
                            virDomainDeviceDef *dev,
                            virDomainDeviceInfo *info,
                            void *opaque)
{
    return qemuPCIHintsCheckPlace(dev, info, opaque);
}


/**
 * qemuPCIHintsCheckPlaces:
 * @def: domain definition in which all devices have their addresses
 * @addrs: its address set
 *
 * Refuses addresses that the user wrote and that contradict the hints beside
 * them.
 *
 * Returns: 0 on success, -1 with VIR_ERR_CONFIG_UNSUPPORTED reported
 */
int
qemuPCIHintsCheckPlaces(virDomainDef *def,
                        virDomainPCIAddressSet *addrs)
{
    return virDomainDeviceInfoIterate(def, qemuPCIHintsCheckPlacesIter, addrs);
}


/* Finds a slot of a running guest for a device without an address. A
 * conventional device for which there is none, and for which the user asked
 * none, may use a PCI Express slot: QEMU takes it there as well. */
static bool
qemuPCILiveFindSlot(virDomainPCIAddressSet *addrs,
                    const virDomainDeviceInfo *info,
                    virDomainPCIConnectFlags *flags,
                    virPCIDeviceAddress *addr)
{
    virDomainPCISlotRequest req = {
        .flags = info->pciConnectFlags | VIR_PCI_CONNECT_HOTPLUGGABLE,
        .isolationGroup = info->isolationGroup,
        .function = -1,
        .controller = VIR_DOMAIN_PCI_ENDPOINT,
        .info = info,
    };
    bool found = virDomainPCITopologyFindSlot(addrs, &req, addr);

    if (!found && info->pciHints.busHint == VIR_DOMAIN_PCI_BUS_HINT_DEFAULT) {
        req.flags |= VIR_PCI_CONNECT_TYPE_PCIE_DEVICE;
        found = virDomainPCITopologyFindSlot(addrs, &req, addr);
    }

    *flags = req.flags & ~VIR_PCI_CONNECT_HOTPLUGGABLE;
    return found;
}


/* Says why nothing can be attached, and what to do about it */
static void
qemuPCILiveReportNoSlot(virDomainPCIAddressSet *addrs,
                        virDomainDeviceDef *dev,
                        virDomainPCIConnectFlags flags)
{
    bool express = flags & VIR_PCI_CONNECT_TYPE_PCIE_DEVICE;
    const char *kind = express ? _("PCI Express") : _("conventional PCI");
    const char *preference = virDomainPreferenceTypeToString(qemuPCISlotClasses[express ?
                                                                                QEMU_PCI_SLOTS_EXPRESS :
                                                                                QEMU_PCI_SLOTS_CONVENTIONAL].preference);
    g_autofree char *name = virDomainPCIDeviceName(dev);
    virDomainPCICensus census;

    virDomainPCITopologyCount(addrs, flags & VIR_PCI_CONNECT_TYPES_ENDPOINT, &census);

    if (census.unpluggable > 0) {
        virReportError(VIR_ERR_OPERATION_FAILED,
                       _("No more available PCI slots: %1$s needs a hotpluggable %2$s slot, but of %3$zu that the guest has %4$zu are in use, and %5$zu without hotplug were passed over; more can be had with preference '%6$s' in the persistent definition"),
                       name, kind, census.total, census.used,
                       census.unpluggable, preference);
    } else {
        virReportError(VIR_ERR_OPERATION_FAILED,
                       _("No more available PCI slots: %1$s needs a hotpluggable %2$s slot, but of %3$zu that the guest has %4$zu are in use; more can be had with preference '%5$s' in the persistent definition"),
                       name, kind, census.total, census.used, preference);
    }
}


/* Whether @dev belongs on the VIO bus of pseries, which takes no devices while
 * the guest runs. In a definition it has an address there before PCI slots are
 * looked for, but a device that is attached comes without one. */
static bool
qemuPCILiveIsVIO(const virDomainDeviceDef *dev)
{
    if (dev->type == VIR_DOMAIN_DEVICE_CONTROLLER)
        return dev->data.controller->type == VIR_DOMAIN_CONTROLLER_TYPE_SCSI &&
               dev->data.controller->model == VIR_DOMAIN_CONTROLLER_MODEL_SCSI_IBMVSCSI;

    return dev->type == VIR_DOMAIN_DEVICE_NET &&
           dev->data.net->model == VIR_DOMAIN_NET_MODEL_SPAPR_VLAN;
}


/**
 * qemuPCILiveCheck:
 * @addrs: address set of a running guest
 * @def: its definition
 * @dev: device that is to be attached
 * @info: info of @dev, with its connect flags
 *
 * Makes sure that there is a slot for @dev, and that it can be what the hints
 * ask for.
 *
 * Returns: 0 if there is a slot or @dev comes with an address; -1 with
 *          VIR_ERR_OPERATION_FAILED or VIR_ERR_CONFIG_UNSUPPORTED reported
 */
int
qemuPCILiveCheck(virDomainPCIAddressSet *addrs,
                 const virDomainDef *def,
                 virDomainDeviceDef *dev,
                 virDomainDeviceInfo *info)
{
    virDomainPCIConnectFlags flags;
    virPCIDeviceAddress addr = { 0 };
    const char *reason;

    if (!info->pciConnectFlags)
        return 0;

    if (qemuPCILiveIsVIO(dev)) {
        g_autofree char *name = virDomainPCIDeviceName(dev);

        virReportError(VIR_ERR_OPERATION_UNSUPPORTED,
                       _("%1$s cannot be attached to a running guest: it is not a PCI device, and the VIO bus has no hotplug"),
                       name);
        return -1;
    }

    if (info->pciHints.hotpluggable == VIR_TRISTATE_BOOL_NO)
        return qemuPCIHintsRefuse(dev, _("a device with hotpluggable='no' cannot be attached to a running guest"));

    if ((reason = qemuPCIHintsContradiction(&info->pciHints, info->pciConnectFlags,
                                            qemuPCIPolicyGet(def))))
        return qemuPCIHintsRefuse(dev, reason);

    if (virDeviceInfoPCIAddressIsPresent(info))
        return qemuPCIHintsCheckPlace(dev, info, addrs);

    if (!qemuPCILiveFindSlot(addrs, info, &flags, &addr)) {
        qemuPCILiveReportNoSlot(addrs, dev, info->pciConnectFlags);
        return -1;
    }

    info->pciConnectFlags = flags;
    return 0;
}


/**
 * qemuPCIPlaceAsLive:
 * @live: address set of a running guest
 * @config: address set of its persistent definition
 * @info: info of a device that is to be attached to both, with its connect
 *        flags
 *
 * Gives the device the address that it will get in the running guest, if that
 * is free in the persistent definition. Otherwise, and if the device comes
 * with an address, it does nothing.
 */
void
qemuPCIPlaceAsLive(virDomainPCIAddressSet *live,
                   virDomainPCIAddressSet *config,
                   virDomainDeviceInfo *info)
{
    virDomainPCIConnectFlags flags;
    virPCIDeviceAddress addr = { 0 };

    if (!info->pciConnectFlags ||
        !virDeviceInfoPCIAddressIsWanted(info) ||
        !qemuPCILiveFindSlot(live, info, &flags, &addr))
        return;

    if (addr.bus >= config->nbuses ||
        config->buses[addr.bus].model != live->buses[addr.bus].model ||
        virDomainPCIAddressSlotInUse(config, &addr))
        return;

    info->type = VIR_DOMAIN_DEVICE_ADDRESS_TYPE_PCI;
    info->addr.pci = addr;
}


/**
 * qemuPCIKeepPlace:
 * @oldDev: device of a persistent definition
 * @dev: what it is to be replaced with
 *
 * Carries the PCI address over where the update leaves it out, and does not
 * ask for another kind of place.
 */
void
qemuPCIKeepPlace(const virDomainDeviceDef *oldDev,
                 virDomainDeviceDef *dev)
{
    virDomainDeviceInfo *oldInfo = virDomainDeviceGetInfo(oldDev);
    virDomainDeviceInfo *info = virDomainDeviceGetInfo(dev);

    if (!virDeviceInfoPCIAddressIsPresent(oldInfo) ||
        !virDeviceInfoPCIAddressIsWanted(info))
        return;

    /* a disk that moves to another bus leaves its place */
    if (dev->type == VIR_DOMAIN_DEVICE_DISK &&
        dev->data.disk->bus != oldDev->data.disk->bus)
        return;

    if (virDomainPCIHintsGiven(&info->pciHints) &&
        !virDomainPCIHintsEqual(&info->pciHints, &oldInfo->pciHints))
        return;

    info->type = VIR_DOMAIN_DEVICE_ADDRESS_TYPE_PCI;
    info->addr.pci = oldInfo->addr.pci;
    info->pciHints = oldInfo->pciHints;
}
