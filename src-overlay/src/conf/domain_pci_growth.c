/*
 * domain_pci_growth.c: which PCI controllers to add for a device
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The planner. A request for a slot goes in, a chain of controllers comes out:
 * the first fits a free slot of the present topology, each next one fits the
 * one before, and the last one has the slot. It decides nothing else:
 * virDomainPCIAddressSetGrow() appends the controllers, and whoever wanted the
 * slot searches again.
 */

#include <config.h>

#include "domain_pci_growth.h"
#include "virerror.h"
#include "virlog.h"

#define VIR_FROM_THIS VIR_FROM_DOMAIN

VIR_LOG_INIT("conf.domain_pci_growth");

/* The longest chain is root port, upstream port, downstream port and, for a
 * conventional device, pcie-to-pci-bridge */
#define CHAIN_MAX 4


/**
 * virDomainPCIGrowthRulesAdd:
 * @rules: growth rules
 * @model: model of PCI controllers that may be added, after those already there
 */
void
virDomainPCIGrowthRulesAdd(virDomainPCIGrowthRules *rules,
                           virDomainControllerModelPCI model)
{
    rules->models[rules->nmodels++] = model;
}


static bool
virDomainPCIGrowthMayAdd(const virDomainPCIGrowthRules *rules,
                         virDomainControllerModelPCI model)
{
    size_t i;

    for (i = 0; i < rules->nmodels; i++) {
        if (rules->models[i] == model)
            return true;
    }

    return false;
}


/* A pcie-to-pci-bridge that libvirt adds always got a port of its own, even if
 * another one is free, and the guests that were defined so far rely on it. */
static bool
virDomainPCIGrowthBringsOwnPort(virDomainControllerModelPCI model)
{
    return model == VIR_DOMAIN_CONTROLLER_MODEL_PCIE_TO_PCI_BRIDGE;
}


/* What is tried, one after the other */
typedef struct {
    size_t shortest;
    size_t longest;
    bool takePort;  /* use a free port even for what brings its own */
    bool displace;  /* a switch may have the port of a device */
} virDomainPCIGrowthAttempt;

static const virDomainPCIGrowthAttempt virDomainPCIGrowthAttempts[] = {
    { 1, 2, false, false },
    { 1, 1, true, false },
    { 3, CHAIN_MAX, false, false },
    { 1, CHAIN_MAX, true, true },
};


/* Can a controller of @model be plugged into what is there already? It may
 * have the slot of a device without an address if it gives back more than it
 * takes. A bridge lives among such devices; a switch only displaces one as
 * the @lastResort. */
static bool
virDomainPCIGrowthFits(virDomainPCIAddressSet *addrs,
                       const virDomainPCISlotRequest *req,
                       virDomainControllerModelPCI model,
                       bool lastResort)
{
    virDomainPCIConnectFlags plug = virDomainPCIControllerModelToConnectType(model);
    bool displace = plug & VIR_PCI_CONNECT_TYPE_PCI_BRIDGE ||
        (lastResort && virDomainPCITopologyModelMultiplies(model));

    /* An additional PHB plugs into nothing; there are only so many */
    if (!plug)
        return virDomainPCITopologyCountModel(addrs, model) < addrs->growth->rootsMax;

    /* Devices of an isolation group need a root bus of their own */
    if (req->isolationGroup)
        return false;

    return virDomainPCITopologyCanHold(addrs, plug, req->controller, displace);
}


/* Finds @length models that lead to a controller of @model */
static bool
virDomainPCIGrowthFindChain(virDomainPCIAddressSet *addrs,
                            const virDomainPCISlotRequest *req,
                            virDomainControllerModelPCI model,
                            size_t length,
                            const virDomainPCIGrowthAttempt *attempt,
                            virDomainPCIChain *chain)
{
    const virDomainPCIGrowthRules *rules = addrs->growth;
    virDomainPCIConnectFlags plug = virDomainPCIControllerModelToConnectType(model);
    size_t i;

    if (length == 1) {
        if ((virDomainPCIGrowthBringsOwnPort(model) && !attempt->takePort) ||
            !virDomainPCIGrowthFits(addrs, req, model, attempt->displace))
            return false;

        chain->models[0] = model;
        chain->nmodels = 1;
        return true;
    }

    for (i = 0; plug && i < rules->nmodels; i++) {
        if (virDomainPCITopologyModelOffers(rules->models[i], plug) &&
            virDomainPCIGrowthFindChain(addrs, req, rules->models[i], length - 1,
                                        attempt, chain)) {
            chain->models[chain->nmodels++] = model;
            return true;
        }
    }

    return false;
}


/* The model of the controller that is to have the slot: the @i-th in the order
 * of preference, or the one that the user asks for. */
static virDomainControllerModelPCI
virDomainPCIGrowthCandidate(const virDomainPCIGrowthRules *rules,
                            const virDomainPCISlotRequest *req,
                            size_t i)
{
    if (req->info && req->info->pciHints.hasConnection) {
        virDomainControllerModelPCI model = req->info->pciHints.connection;

        if (i == 0 &&
            (virDomainPCIGrowthMayAdd(rules, model) || rules->rootBridge == model))
            return model;
    } else if (i < rules->nmodels) {
        return rules->models[i];
    }

    return VIR_DOMAIN_CONTROLLER_MODEL_PCI_DEFAULT;
}


static bool
virDomainPCIGrowthFindShortest(virDomainPCIAddressSet *addrs,
                               const virDomainPCISlotRequest *req,
                               const virDomainPCIGrowthAttempt *attempt,
                               virDomainPCIChain *chain)
{
    virDomainControllerModelPCI model;
    size_t length;
    size_t i;

    for (length = attempt->shortest; length <= attempt->longest; length++) {
        if (addrs->nbuses + length > VIR_DOMAIN_PCI_BUSES_MAX)
            return false;

        for (i = 0;
             (model = virDomainPCIGrowthCandidate(addrs->growth, req, i)) !=
             VIR_DOMAIN_CONTROLLER_MODEL_PCI_DEFAULT;
             i++) {
            if (virDomainPCITopologyModelOffers(model, req->flags) &&
                virDomainPCIGrowthFindChain(addrs, req, model, length,
                                            attempt, chain)) {
                chain->nlinks = chain->nmodels;
                chain->collecting = false;
                return true;
            }
        }
    }

    return false;
}


/**
 * virDomainPCIGrowthPlanSlot:
 * @addrs: address set
 * @req: what the slot is for; there is none for it in @addrs
 * @chain: filled with the controllers to add
 *
 * Plans the shortest chain of controllers that leads to a slot for @req; among
 * chains of the same length the order of preference in the rules decides.
 *
 * Returns: true if there is one; no error is reported otherwise
 */
bool
virDomainPCIGrowthPlanSlot(virDomainPCIAddressSet *addrs,
                           const virDomainPCISlotRequest *req,
                           virDomainPCIChain *chain)
{
    size_t i;

    for (i = 0; addrs->growth && i < G_N_ELEMENTS(virDomainPCIGrowthAttempts); i++) {
        if (virDomainPCIGrowthFindShortest(addrs, req, &virDomainPCIGrowthAttempts[i],
                                           chain))
            return true;
    }

    return false;
}


/* Does any bus accept a controller of @model, whether or not it has room? */
static bool
virDomainPCIGrowthIsAccepted(virDomainPCIAddressSet *addrs,
                             virDomainControllerModelPCI model)
{
    virDomainPCIConnectFlags plug = virDomainPCIControllerModelToConnectType(model);
    size_t i;

    if (!plug)
        return true;

    for (i = 0; i < addrs->nbuses; i++) {
        if (addrs->buses[i].flags & plug & VIR_PCI_CONNECT_TYPES_MASK)
            return true;
    }

    return false;
}


/* The one bus in question has to be the conventional one, so what leads to it
 * cannot come before it. Take a free port; or do without a port; or let the
 * port follow, as nothing says that a parent has the lower index. */
static bool
virDomainPCIGrowthPlanLoneBus(virDomainPCIAddressSet *addrs,
                              const virPCIDeviceAddress *addr,
                              virDomainPCIChain *chain)
{
    const virDomainPCIGrowthRules *rules = addrs->growth;
    virDomainControllerModelPCI bridge = VIR_DOMAIN_CONTROLLER_MODEL_PCIE_TO_PCI_BRIDGE;
    bool haveBridge = virDomainPCIGrowthMayAdd(rules, bridge) &&
        addr->slot > 0; /* its slot 0 is not usable because of the SHPC */

    chain->nmodels = chain->nlinks = 0;

    if (haveBridge &&
        virDomainPCITopologyCanHold(addrs, VIR_PCI_CONNECT_TYPE_PCIE_TO_PCI_BRIDGE,
                                    VIR_DOMAIN_PCI_ENDPOINT, false)) {
        chain->models[chain->nmodels++] = bridge;
    } else if (rules->rootBridge != VIR_DOMAIN_CONTROLLER_MODEL_PCI_DEFAULT) {
        chain->models[chain->nmodels++] = rules->rootBridge;
    } else if (haveBridge &&
               addrs->nbuses + 2 <= VIR_DOMAIN_PCI_BUSES_MAX &&
               virDomainPCITopologyCanHold(addrs,
                                           virDomainPCIControllerModelToConnectType(VIR_DOMAIN_CONTROLLER_MODEL_PCIE_ROOT_PORT),
                                           VIR_DOMAIN_PCI_ENDPOINT, false)) {
        chain->models[chain->nmodels++] = bridge;
        chain->models[chain->nmodels++] = VIR_DOMAIN_CONTROLLER_MODEL_PCIE_ROOT_PORT;
    }

    return chain->nmodels > 0;
}


/**
 * virDomainPCIGrowthPlanBus:
 * @addrs: address set
 * @addr: address that the user wrote, on a bus that is not there
 * @flags: connect flags of the device at @addr
 * @chain: filled with the controllers to add
 *
 * Plans controllers for all buses up to that of @addr, so that the device can
 * have the address.
 *
 * Returns: true if that is possible; no error is reported otherwise
 */
bool
virDomainPCIGrowthPlanBus(virDomainPCIAddressSet *addrs,
                          const virPCIDeviceAddress *addr,
                          virDomainPCIConnectFlags flags,
                          virDomainPCIChain *chain)
{
    const virDomainPCIGrowthRules *rules = addrs->growth;
    virDomainControllerModelPCI filler = VIR_DOMAIN_CONTROLLER_MODEL_PCI_DEFAULT;
    virDomainPCISlotRequest req = {
        .flags = flags & VIR_PCI_CONNECT_TYPES_MASK,
        .function = -1,
        .controller = VIR_DOMAIN_PCI_ENDPOINT,
    };
    size_t need = addr->bus + 1 - addrs->nbuses;
    size_t i;

    if (!rules || addr->bus >= VIR_DOMAIN_PCI_BUSES_MAX)
        return false;

    for (i = 0; i < rules->nmodels; i++) {
        if (virDomainPCITopologyModelOffers(rules->models[i], req.flags)) {
            filler = rules->models[i];
            break;
        }
    }

    if (filler == VIR_DOMAIN_CONTROLLER_MODEL_PCI_DEFAULT)
        return false;

    chain->nmodels = chain->nlinks = 0;

    if (!virDomainPCIGrowthIsAccepted(addrs, filler)) {
        if (need == 1)
            return virDomainPCIGrowthPlanLoneBus(addrs, addr, chain);

        if (!virDomainPCIGrowthPlanSlot(addrs, &req, chain) ||
            chain->nmodels > need)
            return false;
    }

    while (chain->nmodels < need)
        chain->models[chain->nmodels++] = filler;

    return true;
}


/**
 * virDomainPCIGrowthSettle:
 * @addrs: address set to the end of which the buses of @chain were appended
 * @chain: the chain
 *
 * Gives the controllers of @chain their slots, on a dry run, as far as no
 * endpoint device competes for them. A slot that endpoints could use stays
 * owed instead: all PCI controllers are placed before all endpoints when
 * addresses are really given, so on the next run the controller gets its slot
 * and it turns out whether the endpoints still have enough.
 *
 * Returns: 0 on success, -1 with an error reported
 */
int
virDomainPCIGrowthSettle(virDomainPCIAddressSet *addrs,
                         const virDomainPCIChain *chain)
{
    size_t first = addrs->nbuses - chain->nmodels;
    size_t i;

    for (i = 0; i < chain->nlinks; i++) {
        virPCIDeviceAddress addr = { 0 };
        virDomainPCISlotRequest req = {
            .flags = virDomainPCIControllerModelToConnectType(chain->models[i]),
            .function = -1,
            .controller = first + i,
        };

        if (!req.flags || (i == 0 && chain->collecting))
            continue;

        if (i > 0) {
            addr.bus = first + i - 1;
            addr.slot = addrs->buses[addr.bus].minSlot;
        } else if (!virDomainPCITopologyFindSlot(addrs, &req, &addr) ||
                   addrs->buses[addr.bus].flags & VIR_PCI_CONNECT_AUTOASSIGN) {
            continue;
        }

        if (virDomainPCIAddressReserveAddr(addrs, &addr, req.flags, 0) < 0)
            return -1;

        virDomainPCITopologyConnect(addrs, first + i, addr.bus);
    }

    return 0;
}


/**
 * virDomainPCIGrowthFindSlot:
 * @addrs: address set
 * @req: what the slot is for
 * @addr: filled with the address found
 *
 * Finds a free address. On a dry run it adds the controllers that lead to one.
 *
 * Returns: 1 if an address was found, 0 if there is none (no error is
 *          reported), -1 with an error reported
 */
int
virDomainPCIGrowthFindSlot(virDomainPCIAddressSet *addrs,
                           const virDomainPCISlotRequest *req,
                           virPCIDeviceAddress *addr)
{
    while (!virDomainPCITopologyFindSlot(addrs, req, addr)) {
        virDomainPCIChain chain;

        if (!addrs->dryRun || !virDomainPCIGrowthPlanSlot(addrs, req, &chain))
            return 0;

        if (virDomainPCIAddressSetGrow(addrs, &chain) < 0)
            return -1;
    }

    return 1;
}


/**
 * virDomainPCIGrowthReachBus:
 * @addrs: address set, on a dry run
 * @addr: address that the user wrote
 * @flags: connect flags of the device at @addr
 *
 * Adds controllers until the bus of @addr is there, if that is possible.
 *
 * Returns: 0 on success and if it is not possible, -1 with an error reported
 */
int
virDomainPCIGrowthReachBus(virDomainPCIAddressSet *addrs,
                           const virPCIDeviceAddress *addr,
                           virDomainPCIConnectFlags flags)
{
    virDomainPCIChain chain;

    if (addr->bus < addrs->nbuses ||
        !virDomainPCIGrowthPlanBus(addrs, addr, flags, &chain))
        return 0;

    chain.collecting = true;
    return virDomainPCIAddressSetGrow(addrs, &chain);
}


/* Would a controller be added although the user has listed one like it, whose
 * turn just has not come? */
static bool
virDomainPCIGrowthShouldWait(virDomainPCIAddressSet *addrs,
                             const virDomainPCISlotRequest *req)
{
    virPCIDeviceAddress addr = { 0 };
    virDomainPCIChain chain;
    size_t i;

    if (!addrs->dryRun ||
        virDomainPCITopologyFindSlot(addrs, req, &addr) ||
        !virDomainPCIGrowthPlanSlot(addrs, req, &chain))
        return false;

    for (i = 0; i < chain.nmodels; i++) {
        if (virDomainPCITopologyHasUnplaced(addrs, chain.models[i], req->controller))
            return true;
    }

    return false;
}


/**
 * virDomainPCIGrowthReserveController:
 * @addrs: address set
 * @cont: PCI controller without an address
 *
 * Places @cont on a bus that reaches the root without it. On a dry run it may
 * be left for the next one, until the controllers above it have their places.
 *
 * Returns: 0 on success, -1 with an error reported
 */
int
virDomainPCIGrowthReserveController(virDomainPCIAddressSet *addrs,
                                    virDomainControllerDef *cont)
{
    virDomainPCISlotRequest req = {
        .flags = cont->info.pciConnectFlags,
        .isolationGroup = cont->info.isolationGroup,
        .function = -1,
        .controller = cont->idx,
    };

    if (virDomainPCIGrowthShouldWait(addrs, &req))
        return 0;

    return virDomainPCIAddressReserveRequest(addrs, &req, &cont->info);
}


/**
 * virDomainPCIGrowthReserveLast:
 * @addrs: address set in which all devices have been placed
 * @def: domain definition
 *
 * Places the PCI controllers that were only added to have free slots. If there
 * is none left for one of them on a dry run, it has to come before the devices
 * on the next.
 *
 * Returns: 0 on success, -1 with an error reported
 */
int
virDomainPCIGrowthReserveLast(virDomainPCIAddressSet *addrs,
                              virDomainDef *def)
{
    size_t i;

    for (i = 0; i < def->ncontrollers; i++) {
        virDomainControllerDef *cont = def->controllers[i];
        virPCIDeviceAddress addr = { 0 };
        virDomainPCISlotRequest req = {
            .flags = cont->info.pciConnectFlags,
            .function = -1,
            .controller = cont->idx,
        };

        if (cont->type != VIR_DOMAIN_CONTROLLER_TYPE_PCI ||
            !(cont->info.pciConnectFlags & VIR_DOMAIN_PCI_CONNECT_SPARE))
            continue;

        if (addrs->dryRun && !virDomainPCITopologyFindSlot(addrs, &req, &addr)) {
            cont->info.pciConnectFlags &= ~VIR_DOMAIN_PCI_CONNECT_SPARE;
            continue;
        }

        if (virDomainPCIGrowthReserveController(addrs, cont) < 0)
            return -1;
    }

    return 0;
}


/**
 * virDomainPCIGrowthReserveSpare:
 * @addrs: address set, on a dry run
 * @flags: connect type of the slot to keep, and whether it has to be hotpluggable
 *
 * Makes sure that there is one slot more than the devices need.
 *
 * Returns: 1 on success, 0 if it is the only thing that does not fit (no error
 *          is reported), -1 with an error reported
 */
int
virDomainPCIGrowthReserveSpare(virDomainPCIAddressSet *addrs,
                               virDomainPCIConnectFlags flags)
{
    virDomainDeviceInfo info = { 0 };
    virPCIDeviceAddress addr = { 0 };
    virDomainPCISlotRequest req = {
        .flags = flags | VIR_PCI_CONNECT_AUTOASSIGN,
        .function = -1,
        .controller = VIR_DOMAIN_PCI_ENDPOINT,
    };
    int rc;

    if ((rc = virDomainPCIGrowthFindSlot(addrs, &req, &addr)) <= 0)
        return rc;

    return virDomainPCIAddressReserveRequest(addrs, &req, &info) < 0 ? -1 : 1;
}


/**
 * virDomainPCIGrowthKeepSwitch:
 * @addrs: address set, at the end of a dry run
 * @cont: PCI controller that was added for one of its buses
 *
 * A switch keeps the port that was added for it. If it were given the lowest
 * free port like other controllers, it could sit on a downstream port of
 * another switch, and its own port would be left over.
 */
void
virDomainPCIGrowthKeepSwitch(virDomainPCIAddressSet *addrs,
                             virDomainControllerDef *cont)
{
    size_t parent;

    if (cont->model != VIR_DOMAIN_CONTROLLER_MODEL_PCIE_SWITCH_UPSTREAM_PORT ||
        !virDomainPCITopologyGetParent(addrs, cont->idx, &parent))
        return;

    cont->info.type = VIR_DOMAIN_DEVICE_ADDRESS_TYPE_PCI;
    cont->info.addr.pci.bus = parent;
}


/**
 * virDomainPCIGrowthReportRefusal:
 * @addrs: address set
 * @req: request for which there is no slot and no chain
 *
 * Reports what is missing: VIR_ERR_INTERNAL_ERROR for a PCI controller, as
 * clients know it, VIR_ERR_CONFIG_UNSUPPORTED for other devices.
 */
void
virDomainPCIGrowthReportRefusal(virDomainPCIAddressSet *addrs,
                                const virDomainPCISlotRequest *req)
{
    g_autofree char *name = virDomainPCITopologyDeviceName(addrs, req->info);
    const char *kind = req->flags & VIR_PCI_CONNECT_TYPE_PCIE_DEVICE ?
        _("PCI Express") : _("conventional PCI");

    if (req->controller != VIR_DOMAIN_PCI_ENDPOINT) {
        virDomainControllerModelPCI model = addrs->buses[req->controller].model;

        virReportError(VIR_ERR_INTERNAL_ERROR,
                       _("a PCI slot is needed to connect a PCI controller model='%1$s', but none is available, and it cannot be automatically added"),
                       virDomainControllerModelPCITypeToString(model));
    } else if (req->info && req->info->pciHints.hasConnection) {
        virReportError(VIR_ERR_CONFIG_UNSUPPORTED,
                       _("No more available PCI slots: %1$s asks for preferredConnection='%2$s', but no such PCI controller has a free slot and none can be added"),
                       name,
                       virDomainControllerModelPCITypeToString(req->info->pciHints.connection));
    } else if (req->flags & VIR_PCI_CONNECT_INTEGRATED) {
        virReportError(VIR_ERR_CONFIG_UNSUPPORTED,
                       _("No more available PCI slots: %1$s must be on the root bus, because it is integrated or not hotpluggable, but the root bus is full"),
                       name);
    } else if (addrs->nbuses >= VIR_DOMAIN_PCI_BUSES_MAX) {
        virReportError(VIR_ERR_CONFIG_UNSUPPORTED,
                       _("No more available PCI slots: %1$s needs a free %2$s slot, and the guest has all %3$d PCI buses that are possible"),
                       name, kind, VIR_DOMAIN_PCI_BUSES_MAX);
    } else {
        virReportError(VIR_ERR_CONFIG_UNSUPPORTED,
                       _("No more available PCI slots: %1$s needs a free %2$s slot, and no PCI controller that has one can be added"),
                       name, kind);
    }
}
