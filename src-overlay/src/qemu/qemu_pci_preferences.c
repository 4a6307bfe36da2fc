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
#include "qemu_pci_nodes.h"
#include "qemu_pci_windows.h"
#include "domain_pci_groups.h"
#include "viralloc.h"
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


/* Can slots of the class @which be promised with a window of this kind? */
static bool
qemuPCIPreferencesHasWindow(const qemuPCIPolicy *policy,
                            virDomainPreference which,
                            virDomainPCIWindow window)
{
    return policy->windows &&
        (which == VIR_DOMAIN_PREFERENCE_PCIE_HOTPLUG_SLOTS ||
         window != VIR_DOMAIN_PCI_WINDOW_IO);
}


static int
qemuPCIPreferencesCheckWindows(const virDomainDef *def,
                               const qemuPCIPolicy *policy)
{
    const virDomainPreferences *prefs = def->preferences;
    const char *problem;
    size_t i;
    size_t j;

    for (i = 0; prefs && i < prefs->nslots; i++) {
        const virDomainPreferenceSlots *slots = &prefs->slots[i];

        for (j = 0; j < VIR_DOMAIN_PCI_WINDOW_LAST; j++) {
            if (!slots->windows.given[j] ||
                qemuPCIPreferencesHasWindow(policy, slots->which, j))
                continue;

            if (!policy->windows) {
                return qemuPCIPreferencesRefuse(def, slots->which,
                                                _("its firmware does not heed 'memReserve', 'pref64Reserve' and 'ioReserve'"));
            }

            return qemuPCIPreferencesRefuse(def, slots->which,
                                            _("the slots of a conventional bridge share one I/O window, so that 'ioReserve' says nothing about one of them"));
        }

        if ((problem = virDomainPCIWindowsProblem(&slots->windows)))
            return qemuPCIPreferencesRefuse(def, slots->which, problem);
    }

    return 0;
}


static int
qemuPCIPreferencesCheckNodes(const virDomainDef *def,
                             const qemuPCIPolicy *policy,
                             virQEMUCaps *qemuCaps)
{
    const virDomainPreferences *prefs = def->preferences;
    const char *problem;
    size_t i;

    for (i = 0; prefs && i < prefs->nslots; i++) {
        if (prefs->slots[i].node >= 0 &&
            (problem = qemuPCINodesProblem(def, policy, qemuCaps, prefs->slots[i].node, true)))
            return qemuPCIPreferencesRefuse(def, prefs->slots[i].which, problem);
    }

    if (virDomainPreferencesGiven(prefs, VIR_DOMAIN_PREFERENCE_HOSTDEV_PLACEMENT) &&
        (problem = qemuPCINodesProblem(def, policy, qemuCaps, 0, false)))
        return qemuPCIPreferencesRefuse(def, VIR_DOMAIN_PREFERENCE_HOSTDEV_PLACEMENT, problem);

    return 0;
}


/* Why can the guest not have what a group asks for? */
static const char *
qemuPCIPreferencesGroupProblem(const virDomainDef *def,
                               const qemuPCIPolicy *policy,
                               virQEMUCaps *qemuCaps,
                               const virDomainPCIGroup *group)
{
    virDomainPCIGrowthRules rules = { 0 };
    const char *problem = NULL;
    bool later = group->spare > 0;

    qemuPCIPolicyFillRules(policy, qemuCaps, &rules);

    if (group->share == VIR_DOMAIN_PCI_GROUP_SLOT && !policy->sharesSlots)
        return _("its devices cannot be functions of one slot");

    if (group->share == VIR_DOMAIN_PCI_GROUP_SWITCH &&
        !virDomainPCIGrowthMayAdd(&rules, VIR_DOMAIN_CONTROLLER_MODEL_PCIE_SWITCH_UPSTREAM_PORT))
        return _("it has no PCI Express switches");

    if (group->share == VIR_DOMAIN_PCI_GROUP_ROOT) {
        if (rules.nodeHost == VIR_DOMAIN_CONTROLLER_MODEL_PCI_DEFAULT)
            return _("it has no host bridges that could be added");

        /* who does not learn the node of a host bridge does not find it */
        if (qemuPCIPolicyNodeProblem(policy, def, qemuCaps, false))
            return _("the guest finds no other host bridge without ACPI, and on ARM without UEFI");

        problem = qemuPCIPolicyNodeProblem(policy, def, qemuCaps, later);
    }

    if (!problem && group->node >= 0)
        problem = qemuPCINodesProblem(def, policy, qemuCaps, group->node, later);

    return problem;
}


static int
qemuPCIPreferencesCheckGroups(const virDomainDef *def,
                              const qemuPCIPolicy *policy,
                              virQEMUCaps *qemuCaps)
{
    const virDomainPreferences *prefs = def->preferences;
    const char *problem;
    size_t i;

    for (i = 0; prefs && i < prefs->ngroups; i++) {
        if ((problem = qemuPCIPreferencesGroupProblem(def, policy, qemuCaps, &prefs->groups[i])))
            return qemuPCIPreferencesRefuse(def, VIR_DOMAIN_PREFERENCE_PCI_GROUP, problem);
    }

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

    if (qemuPCIPreferencesCheckWindows(def, policy) < 0 ||
        qemuPCIPreferencesCheckNodes(def, policy, qemuCaps) < 0 ||
        qemuPCIPreferencesCheckGroups(def, policy, qemuCaps) < 0)
        return -1;

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
    size_t j;

    if (!def)
        return NULL;

    caps->nodeHost = VIR_DOMAIN_CONTROLLER_MODEL_PCI_DEFAULT;
    def->virtType = virtType;
    def->os.arch = arch;
    def->os.machine = g_strdup(machine);

    if (!(policy = qemuPCIPolicyForMachine(def)))
        return g_steal_pointer(&caps);

    qemuPCIPolicyFillRules(policy, qemuCaps, &rules);
    for (i = 0; i < rules.nmodels; i++)
        caps->models |= 1 << rules.models[i];
    caps->nodeHost = rules.nodeHost;

    for (i = 0; i < QEMU_PCI_SLOTS_LAST; i++) {
        virDomainPreference which = qemuPCISlotClasses[i].preference;

        caps->slotsMax[which] = qemuPCIPolicySlotsMax(policy, &rules, qemuPCISlotClasses[i].slot);
        caps->supported[which] = caps->slotsMax[which] > 0;
        caps->node[which] = caps->nodeHost >= 0 && !policy->nodeColdOnly;
        for (j = 0; j < VIR_DOMAIN_PCI_WINDOW_LAST; j++)
            caps->windows[which][j] = qemuPCIPreferencesHasWindow(policy, which, j);
    }

    caps->supported[VIR_DOMAIN_PREFERENCE_DEFAULT_ADDRESS_TYPE] = true;
    caps->supported[VIR_DOMAIN_PREFERENCE_HOTPLUGGABLE] = true;
    caps->supported[VIR_DOMAIN_PREFERENCE_HOSTDEV_PLACEMENT] = caps->nodeHost >= 0;
    caps->share[VIR_DOMAIN_PCI_GROUP_SLOT] = policy->sharesSlots;
    caps->share[VIR_DOMAIN_PCI_GROUP_SWITCH] =
        virDomainPCIGrowthMayAdd(&rules, VIR_DOMAIN_CONTROLLER_MODEL_PCIE_SWITCH_UPSTREAM_PORT);
    caps->share[VIR_DOMAIN_PCI_GROUP_ROOT] = caps->nodeHost >= 0;
    for (i = 0; i < VIR_DOMAIN_PCI_GROUP_LAST; i++)
        caps->supported[VIR_DOMAIN_PREFERENCE_PCI_GROUP] |= caps->share[i];
    caps->virtioMMIO = policy->virtio != QEMU_PCI_VIRTIO_MACHINE &&
        virQEMUCapsGet(qemuCaps, QEMU_CAPS_DEVICE_VIRTIO_MMIO);

    return g_steal_pointer(&caps);
}


/* An empty conventional bridge has memory for six devices like e1000, with
 * SeaBIOS and with OVMF. Whoever asks for more slots gets bridges with this much
 * for each of their slots; not for all of them, because everything has to fit
 * below 4 GiB. */
#define ORDINARY_SLOTS 6
#define ORDINARY_MEM 1024
#define ORDINARY_BRIDGES 8


/* What only few slots have comes first, or such a slot could be counted as one
 * that needs nothing: a node, then the largest windows */
static int
qemuPCIPromiseCompare(const void *a,
                      const void *b,
                      void *opaque G_GNUC_UNUSED)
{
    const qemuPCIPromiseItem *first = a;
    const qemuPCIPromiseItem *second = b;

    if (first->node != second->node)
        return first->node > second->node ? -1 : 1;

    return virDomainPCIWindowsCompare(&second->windows, &first->windows, false);
}


/* More slots than an empty bridge can serve, and nothing is said about them */
static bool
qemuPCIPromiseIsOrdinary(const qemuPCIPromiseItem *item,
                         const qemuPCIPolicy *policy)
{
    return item->kind == QEMU_PCI_SLOTS_CONVENTIONAL && policy->windows &&
        item->asked > ORDINARY_SLOTS &&
        !virDomainPCIWindowsAny(&item->windows);
}


/**
 * qemuPCIPromiseInit:
 * @promise: promise to fill, to be cleared with qemuPCIPromiseClear()
 * @prefs: what the user prefers, or NULL for a promise of nothing
 * @policy: row of the machine
 */
void
qemuPCIPromiseInit(qemuPCIPromise *promise,
                   const virDomainPreferences *prefs,
                   const qemuPCIPolicy *policy)
{
    size_t i;
    size_t kind;

    *promise = (qemuPCIPromise) { 0 };

    for (i = 0; prefs && i < prefs->nslots; i++) {
        qemuPCIPromiseItem item = {
            .asked = prefs->slots[i].number,
            .possible = prefs->slots[i].number,
            .windows = prefs->slots[i].windows,
            .node = prefs->slots[i].node,
        };

        for (kind = 0; kind < QEMU_PCI_SLOTS_LAST; kind++) {
            if (qemuPCISlotClasses[kind].preference == prefs->slots[i].which)
                item.kind = kind;
        }

        if (item.asked == 0)
            continue;

        item.ordinary = qemuPCIPromiseIsOrdinary(&item, policy);
        promise->ordinary |= item.ordinary;
        promise->windows |= virDomainPCIWindowsAny(&item.windows);
        promise->io |= item.windows.kib[VIR_DOMAIN_PCI_WINDOW_IO] > 0;
        VIR_APPEND_ELEMENT(promise->items, promise->nitems, item);
    }

    for (i = 0; prefs && i < prefs->ngroups; i++) {
        qemuPCIPromiseItem item = {
            .kind = policy->expressSlot == VIR_PCI_CONNECT_TYPE_PCIE_DEVICE ?
                QEMU_PCI_SLOTS_EXPRESS : QEMU_PCI_SLOTS_CONVENTIONAL,
            .asked = prefs->groups[i].spare,
            .possible = prefs->groups[i].spare,
            .node = prefs->groups[i].node,
            .group = prefs->groups[i].name,
        };

        if (item.asked > 0)
            VIR_APPEND_ELEMENT(promise->items, promise->nitems, item);
    }

    promise->noIO = promise->io;
    if (promise->nitems > 1) {
        g_qsort_with_data(promise->items, promise->nitems, sizeof(promise->items[0]),
                          qemuPCIPromiseCompare, NULL);
    }
}


/**
 * qemuPCIPromiseClear:
 * @promise: promise to clear
 */
void
qemuPCIPromiseClear(qemuPCIPromise *promise)
{
    g_clear_pointer(&promise->items, g_free);
    promise->nitems = 0;
}


/**
 * qemuPCIPromiseIsPossible:
 * @promise: a promise
 * @kind: a class of slots
 *
 * Returns: true if slots of the class are promised to all, and at least one can
 *          be had
 */
bool
qemuPCIPromiseIsPossible(const qemuPCIPromise *promise,
                         qemuPCISlots kind)
{
    size_t i;

    for (i = 0; i < promise->nitems; i++) {
        if (promise->items[i].kind == kind && !promise->items[i].group &&
            promise->items[i].possible > 0)
            return true;
    }

    return false;
}


/* Keeps one slot more. Returns as virDomainPCIPlanReserveFree() */
static int
qemuPCIPromiseReserveOne(const qemuPCIPromiseItem *item,
                         virDomainPCIAddressSet *addrs)
{
    virDomainPCISlotRequest req;
    int rc;

    virDomainPCISlotRequestInitFree(&req, qemuPCISlotClasses[item->kind].slot |
                                    VIR_PCI_CONNECT_HOTPLUGGABLE);
    req.windows = item->windows;
    req.node = item->node;
    req.nslots = item->asked - item->possible;
    req.carrier = item->ordinary;
    virDomainPCIGroupsInitRequest(&req, addrs, item->group);

    rc = virDomainPCIPlanReserveFree(addrs, &req);

    /* windows that nobody has asked for are no reason to refuse */
    if (rc == 0 && req.carrier) {
        req.carrier = false;
        rc = virDomainPCIPlanReserveFree(addrs, &req);
    }

    return rc;
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

    for (i = 0; i < promise->nitems; i++) {
        qemuPCIPromiseItem *item = &promise->items[i];
        int rc = 1;

        for (item->possible = 0; item->possible < item->asked; item->possible++) {
            if ((rc = qemuPCIPromiseReserveOne(item, addrs)) <= 0)
                break;
        }

        if (rc < 0)
            return -1;
    }

    return 0;
}


/* How many controllers of @def have memory windows? */
static size_t
qemuPCIPromiseCountMemory(const virDomainDef *def)
{
    size_t count = 0;
    size_t i;

    for (i = 0; i < def->ncontrollers; i++) {
        if (def->controllers[i]->type == VIR_DOMAIN_CONTROLLER_TYPE_PCI)
            count += def->controllers[i]->opts.pciopts.memReserve > 0;
    }

    return count;
}


/**
 * qemuPCIPromiseSetWindows:
 * @promise: a promise
 * @addrs: address set, at the end of a dry run
 * @def: definition to which controllers are added
 * @cont: one that is added for a bus of @addrs
 *
 * Gives @cont the windows that were planned. Where I/O is promised, ports for
 * which none is leave it to those; so do ports with other windows, because OVMF
 * takes all windows from ports for which it has no I/O, and those of a guest
 * with NUMA nodes, because it takes all from what is below an expander bus if
 * the root has used up the I/O. Where many ordinary slots are, each bridge
 * that is added has room for its own, whoever it is added for; and I/O, if the
 * firmware would give it none.
 */
void
qemuPCIPromiseSetWindows(const qemuPCIPromise *promise,
                         virDomainPCIAddressSet *addrs,
                         const virDomainDef *def,
                         virDomainControllerDef *cont)
{
    virDomainPCIWindows windows = *virDomainPCITopologyGetWindows(addrs, cont->idx);

    if (cont->model == VIR_DOMAIN_CONTROLLER_MODEL_PCIE_ROOT_PORT &&
        (promise->noIO || virDomainPCIWindowsAny(&windows)))
        windows.given[VIR_DOMAIN_PCI_WINDOW_IO] = true;

    if (promise->ordinary && cont->model == VIR_DOMAIN_CONTROLLER_MODEL_PCI_BRIDGE &&
        !windows.given[VIR_DOMAIN_PCI_WINDOW_MEM] &&
        qemuPCIPromiseCountMemory(def) < ORDINARY_BRIDGES) {
        windows.given[VIR_DOMAIN_PCI_WINDOW_MEM] = true;
        windows.kib[VIR_DOMAIN_PCI_WINDOW_MEM] =
            ORDINARY_MEM * virDomainPCIModelSlots(cont->model);

        if (qemuPCIWindowsWantsIO(def)) {
            windows.given[VIR_DOMAIN_PCI_WINDOW_IO] = true;
            windows.kib[VIR_DOMAIN_PCI_WINDOW_IO] = VIR_DOMAIN_PCI_IO_GRANULARITY;
        }
    }

    virDomainPCIWindowsSet(&cont->opts.pciopts, &windows);
}


/**
 * qemuPCIPromiseCheck:
 * @promise: promise for which slots have been reserved
 * @def: domain definition with the controllers that were added
 *
 * Returns: 0 if the promise can be kept, -1 with VIR_ERR_CONFIG_UNSUPPORTED
 *          reported if not
 */
int
qemuPCIPromiseCheck(const qemuPCIPromise *promise,
                    const virDomainDef *def)
{
    size_t i;

    for (i = 0; i < promise->nitems; i++) {
        const qemuPCIPromiseItem *item = &promise->items[i];

        if (item->possible < item->asked) {
            const char *name = virDomainPreferenceTypeToString(qemuPCISlotClasses[item->kind].preference);

            if (item->group) {
                virReportError(VIR_ERR_CONFIG_UNSUPPORTED,
                               _("PCI group '%1$s' asks for %2$u spare slots, but this guest can have %3$u at most"),
                               item->group, item->asked, item->possible);
            } else if (item->node >= 0) {
                virReportError(VIR_ERR_CONFIG_UNSUPPORTED,
                               _("preference '%1$s' asks for %2$u free slots, but this guest can have %3$u at most near NUMA node %4$d"),
                               name, item->asked, item->possible, item->node);
            } else {
                virReportError(VIR_ERR_CONFIG_UNSUPPORTED,
                               _("preference '%1$s' asks for %2$u free slots, but this guest can have %3$u at most"),
                               name, item->asked, item->possible);
            }
            return -1;
        }
    }

    if (promise->io && qemuPCIWindowsCheckIO(def) < 0)
        return -1;

    return promise->windows ? qemuPCIWindowsCheckRoom(def) : 0;
}
