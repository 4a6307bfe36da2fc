/*
 * qemu_pci_preferences.c: what <preferences> ask of a guest as a whole
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Whether the machine can do it, what a machine can be asked for, and how many
 * free slots are promised.
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


/**
 * qemuPCIPreferencesCaps:
 * @driver: QEMU driver
 * @qemuCaps: capabilities of the QEMU binary
 * @machine: machine type
 * @arch: architecture
 * @virtType: virtualization type
 *
 * Returns: what the machine type can be asked for, to be freed by the caller
 *          with g_free(), or NULL with an error reported
 */
virDomainPreferencesCaps *
qemuPCIPreferencesCaps(virQEMUDriver *driver,
                       virQEMUCaps *qemuCaps,
                       const char *machine,
                       virArch arch,
                       virDomainVirtType virtType)
{
    g_autofree virDomainPreferencesCaps *caps = g_new0(virDomainPreferencesCaps, 1);
    g_autoptr(virDomainDef) def = virDomainDefNew(driver->xmlopt);
    virDomainPCIGrowthRules rules = { 0 };
    const qemuPCIPolicy *policy;
    size_t i;

    if (!def)
        return NULL;

    def->virtType = virtType;
    def->os.arch = arch;
    def->os.machine = g_strdup(machine);

    if (!(policy = qemuPCIPolicyForMachine(def)))
        return g_steal_pointer(&caps);

    qemuPCIPolicyFillRules(policy, qemuCaps, &rules);
    for (i = 0; i < rules.nmodels; i++)
        caps->models |= 1 << rules.models[i];

    for (i = 0; i < QEMU_PCI_SLOTS_LAST; i++) {
        virDomainPreference which = qemuPCISlotClasses[i].preference;

        caps->slotsMax[which] = qemuPCIPolicySlotsMax(policy, &rules, qemuPCISlotClasses[i].slot);
        caps->supported[which] = caps->slotsMax[which] > 0;
    }

    caps->supported[VIR_DOMAIN_PREFERENCE_DEFAULT_ADDRESS_TYPE] = true;
    caps->supported[VIR_DOMAIN_PREFERENCE_HOTPLUGGABLE] = true;
    caps->virtioMMIO = policy->virtio != QEMU_PCI_VIRTIO_MACHINE &&
        virQEMUCapsGet(qemuCaps, QEMU_CAPS_DEVICE_VIRTIO_MMIO);

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
 * qemuPCIPromiseIsGiven:
 * @promise: a promise
 *
 * Returns: true if free slots are promised
 */
bool
qemuPCIPromiseIsGiven(const qemuPCIPromise *promise)
{
    size_t i;

    for (i = 0; i < QEMU_PCI_SLOTS_LAST; i++) {
        if (promise->asked[i] > 0)
            return true;
    }

    return false;
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
            int rc = virDomainPCIPlanReserveFree(addrs,
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
