/*
 * qemu_pci_policy.c: what libvirt decides about PCI for each machine family
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * One row per machine family. Nothing else in the QEMU driver asks which
 * machine it is to decide on PCI controllers and slots.
 */

#include <config.h>

#include "qemu_pci_policy.h"
#include "qemu_domain.h"
#include "virlog.h"
#include "virstring.h"

#define VIR_FROM_THIS VIR_FROM_QEMU

VIR_LOG_INIT("qemu.qemu_pci_policy");

#define MODEL_NONE VIR_DOMAIN_CONTROLLER_MODEL_PCI_DEFAULT
#define PCI_ROOT VIR_DOMAIN_CONTROLLER_MODEL_PCI_ROOT
#define PCIE_ROOT VIR_DOMAIN_CONTROLLER_MODEL_PCIE_ROOT
#define PCI_BRIDGE VIR_DOMAIN_CONTROLLER_MODEL_PCI_BRIDGE
#define DMI_TO_PCI_BRIDGE VIR_DOMAIN_CONTROLLER_MODEL_DMI_TO_PCI_BRIDGE
#define PCIE_TO_PCI_BRIDGE VIR_DOMAIN_CONTROLLER_MODEL_PCIE_TO_PCI_BRIDGE
#define ROOT_PORT VIR_DOMAIN_CONTROLLER_MODEL_PCIE_ROOT_PORT
#define UPSTREAM_PORT VIR_DOMAIN_CONTROLLER_MODEL_PCIE_SWITCH_UPSTREAM_PORT
#define DOWNSTREAM_PORT VIR_DOMAIN_CONTROLLER_MODEL_PCIE_SWITCH_DOWNSTREAM_PORT
#define PCI_EXPANDER VIR_DOMAIN_CONTROLLER_MODEL_PCI_EXPANDER_BUS
#define PCIE_EXPANDER VIR_DOMAIN_CONTROLLER_MODEL_PCIE_EXPANDER_BUS

#define EXPRESS VIR_PCI_CONNECT_TYPE_PCIE_DEVICE
#define CONVENTIONAL VIR_PCI_CONNECT_TYPE_PCI_DEVICE

/* QEMU has room for 31 PHBs, with target indexes 0 to 30 (SPAPR_MAX_PHBS) */
#define PSERIES_PHBS 31

/* PCI Express: devices go into root ports, and into switch ports once the root
 * bus is full of root ports. Conventional devices get a bridge, which further
 * bridges are plugged into (docs/pcie.txt of QEMU, sections 2.2 and 2.3). */
#define EXPRESS_TOPOLOGY \
    .models = { ROOT_PORT, DOWNSTREAM_PORT, UPSTREAM_PORT, PCI_BRIDGE, MODEL_NONE }, \
    .housing = { PCIE_TO_PCI_BRIDGE, DMI_TO_PCI_BRIDGE, MODEL_NONE }, \
    .rootsMax = 1, \
    .filler = ROOT_PORT, \
    .expressSlot = EXPRESS, \
    .conventionalMax = { 7621, 7652 }

/* Conventional PCI: bridges, and bridges behind them */
#define CONVENTIONAL_TOPOLOGY \
    .models = { PCI_BRIDGE, MODEL_NONE }, \
    .housing = { MODEL_NONE }, \
    .rootsMax = 1, \
    .filler = PCI_BRIDGE, \
    .expressSlot = CONVENTIONAL, \
    .conventionalMax = { 7680, 7680 }


/* Ports and bridges that tell the guest themselves */
#define TELLS_ITSELF { "none", "native", "shpc" }

#define TELLS_ALWAYS_ITSELF \
    .withACPI = TELLS_ITSELF, \
    .withoutACPI = TELLS_ITSELF, \
    .belowExpander = TELLS_ITSELF


/* Boards on which virtio-mmio is the way to connect virtio devices if there is
 * no PCI Express */
static bool
qemuPCIPolicyIsMMIOBoard(const virDomainDef *def)
{
    return qemuDomainIsARMVirt(def) ||
        qemuDomainIsRISCVVirt(def) ||
        ((def->os.arch == VIR_ARCH_ARMV6L ||
          def->os.arch == VIR_ARCH_ARMV7L ||
          def->os.arch == VIR_ARCH_AARCH64) &&
         STRPREFIX(def->os.machine, "vexpress-"));
}


/* The first row that fits the machine and its root bus applies. */
static const qemuPCIPolicy qemuPCIPolicies[] = {
    {
        .name = "i440fx",
        .isMachine = qemuDomainIsI440FX,
        .root = PCI_ROOT,
        CONVENTIONAL_TOPOLOGY,
        .rootHotplugNeedsACPI = true,
        .sharesSlots = true,
        .windows = true,
        .nodeHost = PCI_EXPANDER,
        .nodeNeedsACPI = true,
        .nodeColdOnly = true,
        .spare = QEMU_PCI_SPARE_GROWTH_SLOT,
        .withACPI = { "acpi", "none", "acpi" },
        .withoutACPI = { "none", "none", "shpc" },
        .belowExpander = { "none", "none", "none" },
    },
    {
        .name = "q35",
        /* Since 6.1 QEMU switches off the hotplug of the ports for the sake of
         * ACPI's, even if there is no ACPI. */
        .isMachine = qemuDomainIsQ35,
        .root = PCIE_ROOT,
        EXPRESS_TOPOLOGY,
        .expressMax = { 253, 240 },
        .sharesSlots = true,
        .windows = true,
        .nodeHost = PCIE_EXPANDER,
        .nodeNeedsACPI = true,
        .spare = QEMU_PCI_SPARE_PORT,
        .withACPI = { "none", "acpi", "acpi" },
        .withoutACPI = { "none", "none", "none" },
        .belowExpander = TELLS_ITSELF,
        .acpiPortsSince = 601,
    },
    {
        .name = "arm-virt",
        /* The device tree says nothing of expander buses. */
        .isMachine = qemuDomainIsARMVirt,
        .root = PCIE_ROOT,
        EXPRESS_TOPOLOGY,
        .expressMax = { 253, 248 },
        .sharesSlots = true,
        .nodeHost = PCIE_EXPANDER,
        .nodeNeedsACPI = true,
        .nodeNeedsUEFI = true,
        .spare = QEMU_PCI_SPARE_PORT,
        .virtio = QEMU_PCI_VIRTIO_PCI_OR_MMIO,
        TELLS_ALWAYS_ITSELF,
    },
    {
        .name = "riscv-virt",
        .isMachine = qemuDomainIsRISCVVirt,
        .root = PCIE_ROOT,
        EXPRESS_TOPOLOGY,
        .expressMax = { 253, 248 },
        .sharesSlots = true,
        .nodeHost = MODEL_NONE,
        .spare = QEMU_PCI_SPARE_PORT,
        .virtio = QEMU_PCI_VIRTIO_PCI_OR_MMIO,
        TELLS_ALWAYS_ITSELF,
    },
    {
        /* Its slots take conventional and PCI Express devices alike, and PAPR
         * has its own hotplug for both; another PHB is cheaper for the guest
         * than a bridge. */
        .name = "pseries",
        .isMachine = qemuDomainIsPSeries,
        .root = PCI_ROOT,
        .models = { PCI_ROOT, PCI_BRIDGE, MODEL_NONE },
        .housing = { MODEL_NONE },
        .rootsMax = PSERIES_PHBS,
        .filler = PCI_ROOT,
        .expressSlot = CONVENTIONAL,
        .conventionalMax = { 7711, 7711 },
        .sharesSlots = true,
        .isolate = true,
        .nodeHost = PCI_ROOT,
        .spare = QEMU_PCI_SPARE_GROWTH_SLOT,
        .withACPI = { "rtas", "rtas", "rtas" },
        .withoutACPI = { "rtas", "rtas", "rtas" },
    },

    /* Boards of which only the root bus is known */
    {
        .name = "express",
        .root = PCIE_ROOT,
        EXPRESS_TOPOLOGY,
        .nodeHost = MODEL_NONE,
        .spare = QEMU_PCI_SPARE_PORT,
        TELLS_ALWAYS_ITSELF,
    },
    {
        .name = "conventional",
        .root = PCI_ROOT,
        CONVENTIONAL_TOPOLOGY,
        .nodeHost = MODEL_NONE,
        .spare = QEMU_PCI_SPARE_GROWTH_SLOT,
    },

    /* No PCI. If the user lists PCI controllers all the same, they are treated
     * like conventional ones. */
    {
        .name = "virtio-mmio",
        .isMachine = qemuPCIPolicyIsMMIOBoard,
        .root = MODEL_NONE,
        CONVENTIONAL_TOPOLOGY,
        .nodeHost = MODEL_NONE,
        .spare = QEMU_PCI_SPARE_NONE,
        .virtio = QEMU_PCI_VIRTIO_MMIO,
    },
    {
        .name = "none",
        .root = MODEL_NONE,
        CONVENTIONAL_TOPOLOGY,
        .nodeHost = MODEL_NONE,
        .spare = QEMU_PCI_SPARE_NONE,
    },
};


/**
 * qemuPCIPolicyGet:
 * @def: domain definition, with the root bus of its machine
 *
 * Returns: the row for the machine of @def; there always is one
 */
const qemuPCIPolicy *
qemuPCIPolicyGet(const virDomainDef *def)
{
    int idx = virDomainControllerFind(def, VIR_DOMAIN_CONTROLLER_TYPE_PCI, 0);
    int root = idx < 0 ? (int)MODEL_NONE : def->controllers[idx]->model;
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(qemuPCIPolicies) - 1; i++) {
        const qemuPCIPolicy *policy = &qemuPCIPolicies[i];

        if (policy->root != MODEL_NONE && (int)policy->root != root)
            continue;
        if (!policy->isMachine || policy->isMachine(def))
            break;
    }

    return &qemuPCIPolicies[i];
}


/**
 * qemuPCIPolicyForMachine:
 * @def: domain definition that has no controllers, only architecture and
 *       machine type
 *
 * Returns: the row that applies once the root bus of the machine is there, or
 *          NULL if the machine has none or nothing is known about it
 */
const qemuPCIPolicy *
qemuPCIPolicyForMachine(const virDomainDef *def)
{
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(qemuPCIPolicies); i++) {
        const qemuPCIPolicy *policy = &qemuPCIPolicies[i];

        if (policy->root != MODEL_NONE && policy->isMachine && policy->isMachine(def))
            return policy;
    }

    return NULL;
}


/* Can QEMU provide @model? Not asked are models that the policies always had:
 * if they are missing, starting the guest says so. */
static bool
qemuPCIPolicyHasModel(virDomainControllerModelPCI model,
                      virQEMUCaps *qemuCaps)
{
    switch (model) {
    case VIR_DOMAIN_CONTROLLER_MODEL_PCIE_TO_PCI_BRIDGE:
        return virQEMUCapsGet(qemuCaps, QEMU_CAPS_DEVICE_PCIE_PCI_BRIDGE);

    case VIR_DOMAIN_CONTROLLER_MODEL_PCIE_SWITCH_UPSTREAM_PORT:
    case VIR_DOMAIN_CONTROLLER_MODEL_PCIE_SWITCH_DOWNSTREAM_PORT:
        return virQEMUCapsGet(qemuCaps, QEMU_CAPS_DEVICE_X3130_UPSTREAM) &&
            virQEMUCapsGet(qemuCaps, QEMU_CAPS_DEVICE_XIO3130_DOWNSTREAM);

    case VIR_DOMAIN_CONTROLLER_MODEL_PCI_EXPANDER_BUS:
        return virQEMUCapsGet(qemuCaps, QEMU_CAPS_DEVICE_PXB);

    case VIR_DOMAIN_CONTROLLER_MODEL_PCIE_EXPANDER_BUS:
        return virQEMUCapsGet(qemuCaps, QEMU_CAPS_DEVICE_PXB_PCIE);

    case VIR_DOMAIN_CONTROLLER_MODEL_PCI_DEFAULT:
    case VIR_DOMAIN_CONTROLLER_MODEL_PCI_ROOT:
    case VIR_DOMAIN_CONTROLLER_MODEL_PCIE_ROOT:
    case VIR_DOMAIN_CONTROLLER_MODEL_PCI_BRIDGE:
    case VIR_DOMAIN_CONTROLLER_MODEL_DMI_TO_PCI_BRIDGE:
    case VIR_DOMAIN_CONTROLLER_MODEL_PCIE_ROOT_PORT:
    case VIR_DOMAIN_CONTROLLER_MODEL_PCI_LAST:
        break;
    }

    return true;
}


/* Can QEMU give the host bridges of the row a NUMA node? */
static bool
qemuPCIPolicyHasNodes(const qemuPCIPolicy *policy,
                      virQEMUCaps *qemuCaps)
{
    if (policy->nodeHost == PCI_ROOT)
        return virQEMUCapsGet(qemuCaps, QEMU_CAPS_SPAPR_PCI_HOST_BRIDGE_NUMA_NODE);

    return qemuPCIPolicyHasModel(policy->nodeHost, qemuCaps);
}


/**
 * qemuPCIPolicyFillRules:
 * @policy: row of the machine
 * @qemuCaps: capabilities of the QEMU binary
 * @rules: filled with what may be added to a guest of the machine with this
 *         QEMU
 */
void
qemuPCIPolicyFillRules(const qemuPCIPolicy *policy,
                       virQEMUCaps *qemuCaps,
                       virDomainPCIGrowthRules *rules)
{
    size_t i;

    rules->nmodels = 0;
    rules->rootsMax = policy->rootsMax;
    rules->rootBridge = MODEL_NONE;
    rules->nodeHost = MODEL_NONE;
    rules->windows = 0;

    if (policy->nodeHost != MODEL_NONE && qemuPCIPolicyHasNodes(policy, qemuCaps))
        rules->nodeHost = policy->nodeHost;

    if (policy->windows) {
        rules->windows = 1 << PCI_BRIDGE;
        if (virQEMUCapsGet(qemuCaps, QEMU_CAPS_DEVICE_PCIE_ROOT_PORT))
            rules->windows |= 1 << ROOT_PORT;
    }

    for (i = 0; policy->models[i] != MODEL_NONE; i++) {
        if (qemuPCIPolicyHasModel(policy->models[i], qemuCaps))
            virDomainPCIGrowthRulesAdd(rules, policy->models[i]);
    }

    for (i = 0; policy->housing[i] != MODEL_NONE; i++) {
        if (qemuPCIPolicyHasModel(policy->housing[i], qemuCaps)) {
            virDomainPCIGrowthRulesAdd(rules, policy->housing[i]);
            break;
        }
    }

    if (policy->root == PCIE_ROOT &&
        virQEMUCapsGet(qemuCaps, QEMU_CAPS_DEVICE_DMI_TO_PCI_BRIDGE))
        rules->rootBridge = DMI_TO_PCI_BRIDGE;
}


/**
 * qemuPCIPolicySlotsMax:
 * @policy: row of the machine
 * @rules: what may be added
 * @slot: connect type of endpoints
 *
 * Returns: how many free slots of the type a guest without devices can have
 */
unsigned int
qemuPCIPolicySlotsMax(const qemuPCIPolicy *policy,
                      const virDomainPCIGrowthRules *rules,
                      virDomainPCIConnectFlags slot)
{
    if (slot == EXPRESS)
        return policy->expressMax[!virDomainPCIGrowthMayAdd(rules, DOWNSTREAM_PORT)];

    return policy->conventionalMax[!virDomainPCIGrowthMayAdd(rules, PCIE_TO_PCI_BRIDGE)];
}


/**
 * qemuPCIPolicyBusIsHotpluggable:
 * @policy: row of the machine
 * @def: domain definition
 * @cont: a PCI controller of @def
 *
 * On i440fx the slots of pci.0 are hotplugged through ACPI: without it QEMU
 * says "Bus 'pci.0' does not support hotplugging". It says the same of a
 * pci-expander-bus, always. Bridges have SHPC.
 *
 * Returns: true if the slots of @cont can be hotpluggable
 */
bool
qemuPCIPolicyBusIsHotpluggable(const qemuPCIPolicy *policy,
                               const virDomainDef *def,
                               const virDomainControllerDef *cont)
{
    if (cont->opts.pciopts.hotplug == VIR_TRISTATE_SWITCH_OFF ||
        cont->model == VIR_DOMAIN_CONTROLLER_MODEL_PCI_EXPANDER_BUS)
        return false;

    return cont->idx != 0 || !policy->rootHotplugNeedsACPI ||
        def->features[VIR_DOMAIN_FEATURE_ACPI] == VIR_TRISTATE_SWITCH_ON;
}


/**
 * qemuPCIPolicyNodeProblem:
 * @policy: row of the machine
 * @def: domain definition
 * @qemuCaps: capabilities of the QEMU binary
 * @later: it is about devices that come while the guest runs
 *
 * Returns: why no device of the guest can be given a NUMA node, or NULL
 */
const char *
qemuPCIPolicyNodeProblem(const qemuPCIPolicy *policy,
                         const virDomainDef *def,
                         virQEMUCaps *qemuCaps,
                         bool later)
{
    if (policy->nodeHost == MODEL_NONE)
        return _("the machine type has no host bridges with a NUMA node");

    if (!qemuPCIPolicyHasNodes(policy, qemuCaps))
        return _("this QEMU has no host bridges with a NUMA node");

    if (policy->nodeNeedsACPI &&
        def->features[VIR_DOMAIN_FEATURE_ACPI] != VIR_TRISTATE_SWITCH_ON)
        return _("without ACPI the guest does not learn the NUMA node of a device");

    if (policy->nodeNeedsUEFI && !qemuPCIPolicyIsUEFI(def))
        return _("without UEFI the guest does not learn the NUMA node of a device");

    if (later && policy->nodeColdOnly)
        return _("the guest is not told of a device that comes below an expander bus while it runs");

    return NULL;
}


/**
 * qemuPCIPolicyIsUEFI:
 * @def: domain definition
 *
 * Returns: true if the firmware of the guest is UEFI
 */
bool
qemuPCIPolicyIsUEFI(const virDomainDef *def)
{
    return def->os.firmware == VIR_DOMAIN_OS_DEF_FIRMWARE_EFI ||
        virDomainDefHasOldStyleUEFI(def);
}


/* The version in the name of a versioned machine type, as major * 100 + minor;
 * UINT_MAX if there is none */
static unsigned int
qemuPCIPolicyMachineVersion(const virDomainDef *def)
{
    const char *version = strrchr(def->os.machine, '-');
    char *dot = NULL;
    unsigned int major;
    unsigned int minor;

    if (!version ||
        virStrToLong_ui(version + 1, &dot, 10, &major) < 0 || *dot != '.' ||
        virStrToLong_ui(dot + 1, NULL, 10, &minor) < 0)
        return UINT_MAX;

    return major * 100 + minor;
}


/**
 * qemuPCIPolicyTells:
 * @policy: row of the machine
 * @def: domain definition
 * @cont: a PCI controller of @def whose slots are hotpluggable
 * @host: the host bridge or expander bus that leads to it, or NULL
 *
 * Returns: how a guest learns of a device in a slot of @cont, a word of
 *          qemuPCITelling, or NULL if that is not known
 */
const char *
qemuPCIPolicyTells(const qemuPCIPolicy *policy,
                   const virDomainDef *def,
                   const virDomainControllerDef *cont,
                   const virDomainControllerDef *host)
{
    const qemuPCITelling *tells = &policy->withoutACPI;

    if (def->features[VIR_DOMAIN_FEATURE_ACPI] == VIR_TRISTATE_SWITCH_ON)
        tells = &policy->withACPI;

    if ((host && (host->model == VIR_DOMAIN_CONTROLLER_MODEL_PCI_EXPANDER_BUS ||
                  host->model == VIR_DOMAIN_CONTROLLER_MODEL_PCIE_EXPANDER_BUS)) ||
        qemuPCIPolicyMachineVersion(def) < policy->acpiPortsSince)
        tells = &policy->belowExpander;

    if (!virDomainPCIControllerModelToConnectType(cont->model))
        return tells->root;

    if (virDomainPCIModelOffers(cont->model, VIR_PCI_CONNECT_TYPE_PCIE_DEVICE))
        return tells->port;

    return tells->bridge;
}


/**
 * qemuPCIPolicyVirtioSlot:
 * @policy: row of the machine
 * @qemuCaps: capabilities of the QEMU binary
 *
 * A virtio device that is not "transitional" works in a PCI Express slot, if
 * QEMU lets one choose.
 *
 * Returns: connect type of the slot that a virtio device is given
 */
virDomainPCIConnectFlags
qemuPCIPolicyVirtioSlot(const qemuPCIPolicy *policy,
                        virQEMUCaps *qemuCaps)
{
    if (virQEMUCapsGet(qemuCaps, QEMU_CAPS_VIRTIO_PCI_TRANSITIONAL))
        return policy->expressSlot;

    return CONVENTIONAL;
}


/**
 * qemuPCIPolicyVirtioAddressType:
 * @policy: row of the machine
 * @qemuCaps: capabilities of the QEMU binary
 * @prefs: what the user prefers, or NULL
 * @hasVirtioMMIO: the guest has a virtio-mmio device
 *
 * Returns: address type for virtio devices that have none, or
 *          VIR_DOMAIN_DEVICE_ADDRESS_TYPE_NONE if that is not decided here
 */
virDomainDeviceAddressType
qemuPCIPolicyVirtioAddressType(const qemuPCIPolicy *policy,
                               virQEMUCaps *qemuCaps,
                               const virDomainPreferences *prefs,
                               bool hasVirtioMMIO)
{
    if (policy->virtio == QEMU_PCI_VIRTIO_PCI_OR_MMIO &&
        virDomainPreferencesGiven(prefs, VIR_DOMAIN_PREFERENCE_DEFAULT_ADDRESS_TYPE))
        return prefs->defaultAddressType;

    switch (policy->virtio) {
    case QEMU_PCI_VIRTIO_PCI_OR_MMIO:
        if (!hasVirtioMMIO &&
            (virQEMUCapsGet(qemuCaps, QEMU_CAPS_DEVICE_PCIE_ROOT_PORT) ||
             virQEMUCapsGet(qemuCaps, QEMU_CAPS_DEVICE_IOH3420)))
            return VIR_DOMAIN_DEVICE_ADDRESS_TYPE_PCI;
        G_GNUC_FALLTHROUGH;

    case QEMU_PCI_VIRTIO_MMIO:
        if (virQEMUCapsGet(qemuCaps, QEMU_CAPS_DEVICE_VIRTIO_MMIO))
            return VIR_DOMAIN_DEVICE_ADDRESS_TYPE_VIRTIO_MMIO;
        break;

    case QEMU_PCI_VIRTIO_MACHINE:
        break;
    }

    return VIR_DOMAIN_DEVICE_ADDRESS_TYPE_NONE;
}


/**
 * qemuPCIPolicyHasSpareSlot:
 * @policy: row of the machine
 * @addrs: address set with the addresses that the definition came with
 *
 * If every slot is occupied already, there is no place for another bridge and
 * so nothing to keep; this can only be reached by hand.
 *
 * Returns: true if one conventional slot is to be kept for growth
 */
bool
qemuPCIPolicyHasSpareSlot(const qemuPCIPolicy *policy,
                          const virDomainPCIAddressSet *addrs)
{
    size_t i;

    if (policy->spare != QEMU_PCI_SPARE_GROWTH_SLOT)
        return false;

    for (i = 0; i < addrs->nbuses; i++) {
        if (!virDomainPCIAddressBusIsFullyReserved(&addrs->buses[i]))
            return true;
    }

    return false;
}


/**
 * qemuPCIPolicyHasSparePort:
 * @policy: row of the machine
 * @prefs: what the user prefers, or NULL
 * @maxIndexGiven: highest index of the PCI controllers in the definition
 *                 before any was added, -1 if there was none
 * @nbuses: number of buses after the devices have been placed
 *
 * A user who lists other PCI controllers than the root, or has given all
 * devices their addresses, has planned for himself ("qemu: initially reserve
 * one open pcie-root-port for hotplug"; the libguestfs clause). So has one who
 * says how many slots to keep.
 *
 * Returns: true if one hotpluggable port is to be kept free
 */
bool
qemuPCIPolicyHasSparePort(const qemuPCIPolicy *policy,
                          const virDomainPreferences *prefs,
                          int maxIndexGiven,
                          size_t nbuses)
{
    return policy->spare == QEMU_PCI_SPARE_PORT &&
        !virDomainPreferencesGiven(prefs, VIR_DOMAIN_PREFERENCE_PCIE_HOTPLUG_SLOTS) &&
        maxIndexGiven <= 0 &&
        (int)nbuses > maxIndexGiven + 1;
}
