/*
 * domain_pci_growth.c: which PCI controllers lead to a slot
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The planner. A request for a slot goes in, a chain of controllers comes out:
 * the first fits a free slot of the present topology, each next one fits the
 * one before, and the last one has the slot. virDomainPCIAddressSetGrow()
 * appends the controllers, and whoever wanted the slot searches again.
 */

#include <config.h>

#include "domain_pci_count.h"
#include "domain_pci_groups.h"
#include "domain_pci_numbers.h"
#include "domain_pci_plan.h"

/* The longest chain is host bridge, root port, upstream port, downstream port
 * and, for a conventional device, pcie-to-pci-bridge */
#define CHAIN_MAX 5


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


/**
 * virDomainPCIGrowthMayAdd:
 * @rules: growth rules
 * @model: model of PCI controllers
 *
 * Returns: true if controllers of @model may be added
 */
bool
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
 * takes. A bridge lives among such devices; a switch only displaces one as the
 * @lastResort. If the @chain may make devices share a slot, it may have the
 * slots that they leave. */
static bool
virDomainPCIGrowthFits(virDomainPCIAddressSet *addrs,
                       const virDomainPCISlotRequest *req,
                       virDomainControllerModelPCI model,
                       bool lastResort,
                       const virDomainPCIChain *chain)
{
    virDomainPCIConnectFlags plug = virDomainPCIControllerModelToConnectType(model);
    virDomainPCIDisplace displace = VIR_DOMAIN_PCI_DISPLACE_NONE;
    virDomainPCISlotRequest parent = *req;

    /* a host bridge has a node, and needs none; so it is with the head of a
     * group, and what leads to that */
    if (virDomainPCIModelIsHostBridge(model))
        parent.node = -1;
    if (virDomainPCIGroupsBegin(addrs, req))
        parent.group = NULL;

    /* An additional PHB plugs into nothing; there are only so many */
    if (!plug)
        return virDomainPCICountModel(addrs, model) < addrs->plan->rules.rootsMax;

    /* Devices of an isolation group need a root bus of their own */
    if (req->isolationGroup)
        return false;

    if (plug & VIR_PCI_CONNECT_TYPE_PCI_BRIDGE ||
        (lastResort && virDomainPCIModelMultiplies(model)))
        displace |= VIR_DOMAIN_PCI_DISPLACE_MOVABLE;
    if (chain->shares)
        displace |= VIR_DOMAIN_PCI_DISPLACE_YIELDING;

    return virDomainPCITopologyCanHold(addrs, plug, &parent, displace);
}


/* May a host bridge be added for @req that is not one of the rules' models? */
static bool
virDomainPCIGrowthMayAddHost(virDomainPCIAddressSet *addrs,
                             const virDomainPCISlotRequest *req)
{
    return req->node >= 0 || virDomainPCIGroupsWantHost(addrs, req);
}


/* The @i-th model that may be added for @req, in order of preference */
static virDomainControllerModelPCI
virDomainPCIGrowthModel(virDomainPCIAddressSet *addrs,
                        const virDomainPCISlotRequest *req,
                        size_t i)
{
    const virDomainPCIGrowthRules *rules = &addrs->plan->rules;

    if (i < rules->nmodels)
        return rules->models[i];

    if (i == rules->nmodels && virDomainPCIGrowthMayAddHost(addrs, req))
        return rules->nodeHost;

    return VIR_DOMAIN_CONTROLLER_MODEL_PCI_DEFAULT;
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
    virDomainPCIConnectFlags plug = virDomainPCIControllerModelToConnectType(model);
    virDomainControllerModelPCI parent;
    size_t i;

    if (length == 1) {
        if ((virDomainPCIGrowthBringsOwnPort(model) && !attempt->takePort) ||
            !virDomainPCIGrowthFits(addrs, req, model, attempt->displace, chain))
            return false;

        chain->models[0] = model;
        chain->nmodels = 1;
        return true;
    }

    for (i = 0;
         plug && (parent = virDomainPCIGrowthModel(addrs, req, i)) !=
         VIR_DOMAIN_CONTROLLER_MODEL_PCI_DEFAULT;
         i++) {
        if (virDomainPCIModelOffers(parent, plug) &&
            virDomainPCIGrowthFindChain(addrs, req, parent, length - 1,
                                        attempt, chain)) {
            chain->models[chain->nmodels++] = model;
            return true;
        }
    }

    return false;
}


/* Can a controller of @model be added that has a slot as @req asks for? */
static bool
virDomainPCIGrowthOffers(const virDomainPCIGrowthRules *rules,
                         const virDomainPCISlotRequest *req,
                         virDomainControllerModelPCI model)
{
    return virDomainPCIModelOffers(model, req->flags) &&
        ((!req->carrier && !virDomainPCIWindowsAny(&req->windows)) ||
         rules->windows & (1 << model));
}


/* The windows of the controller that @chain ends with, which is added for @req:
 * its slots share them, and other slots like the one of @req are wanted after
 * it. The chain itself may take a slot of the root that was promised before. */
static void
virDomainPCIGrowthWindows(virDomainPCIAddressSet *addrs,
                          const virDomainPCISlotRequest *req,
                          virDomainPCIChain *chain)
{
    size_t nslots = virDomainPCIModelSlots(chain->models[chain->nlinks - 1]);

    chain->windows = req->windows;
    virDomainPCIWindowsMultiply(&chain->windows, MIN(req->nslots, nslots));

    if (virDomainPCIControllerModelToConnectType(chain->models[0]) &
        addrs->buses[0].flags & VIR_PCI_CONNECT_TYPES_MASK)
        virDomainPCIWindowsAdd(&chain->windows, virDomainPCITopologyGetPromised(addrs, 0));
}


/* The model of the controller that is to have the slot: the @i-th in the order
 * of preference, or the one that the user asks for. */
static virDomainControllerModelPCI
virDomainPCIGrowthCandidate(virDomainPCIAddressSet *addrs,
                            const virDomainPCISlotRequest *req,
                            size_t i)
{
    const virDomainPCIGrowthRules *rules = &addrs->plan->rules;

    if (req->model >= 0) {
        if (i == 0 &&
            (virDomainPCIGrowthMayAdd(rules, req->model) ||
             (int)rules->rootBridge == req->model ||
             ((int)rules->nodeHost == req->model && virDomainPCIGrowthMayAddHost(addrs, req))))
            return req->model;

        return VIR_DOMAIN_CONTROLLER_MODEL_PCI_DEFAULT;
    }

    return virDomainPCIGrowthModel(addrs, req, i);
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
             (model = virDomainPCIGrowthCandidate(addrs, req, i)) !=
             VIR_DOMAIN_CONTROLLER_MODEL_PCI_DEFAULT;
             i++) {
            if (virDomainPCIGrowthOffers(&addrs->plan->rules, req, model) &&
                virDomainPCIGrowthFindChain(addrs, req, model, length,
                                            attempt, chain) &&
                virDomainPCIGroupsFindHead(addrs, req, chain->models, chain->nmodels,
                                           &chain->head) &&
                virDomainPCINumbersSuffice(addrs, req->node, chain)) {
                chain->nlinks = chain->nmodels;
                chain->node = req->node;
                chain->group = virDomainPCIGroupsWanted(addrs, req);
                virDomainPCIGrowthWindows(addrs, req, chain);
                return true;
            }
        }
    }

    return false;
}


static bool
virDomainPCIGrowthFindAny(virDomainPCIAddressSet *addrs,
                          const virDomainPCISlotRequest *req,
                          virDomainPCIChain *chain)
{
    size_t i;

    for (i = 0; addrs->plan && i < G_N_ELEMENTS(virDomainPCIGrowthAttempts); i++) {
        if (virDomainPCIGrowthFindShortest(addrs, req, &virDomainPCIGrowthAttempts[i],
                                           chain))
            return true;
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
 * chains of the same length the order of preference in the rules decides. That
 * devices have to share a slot is the last thing to try, unless they have to
 * in this plan anyway.
 *
 * Returns: true if there is one; no error is reported otherwise
 */
bool
virDomainPCIGrowthPlanSlot(virDomainPCIAddressSet *addrs,
                           const virDomainPCISlotRequest *req,
                           virDomainPCIChain *chain)
{
    chain->shares = addrs->plan && addrs->plan->shares;

    if (virDomainPCIGrowthFindAny(addrs, req, chain))
        return true;

    if (chain->shares || req->optional)
        return false;

    chain->shares = true;
    return virDomainPCIGrowthFindAny(addrs, req, chain);
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
    const virDomainPCIGrowthRules *rules = &addrs->plan->rules;
    virDomainControllerModelPCI bridge = VIR_DOMAIN_CONTROLLER_MODEL_PCIE_TO_PCI_BRIDGE;
    virDomainPCISlotRequest anywhere = { .node = -1, .controller = VIR_DOMAIN_PCI_ENDPOINT };
    bool haveBridge = virDomainPCIGrowthMayAdd(rules, bridge) &&
        addr->slot > 0; /* its slot 0 is not usable because of the SHPC */

    chain->nmodels = chain->nlinks = 0;

    if (haveBridge &&
        virDomainPCITopologyCanHold(addrs, VIR_PCI_CONNECT_TYPE_PCIE_TO_PCI_BRIDGE,
                                    &anywhere, VIR_DOMAIN_PCI_DISPLACE_NONE)) {
        chain->models[chain->nmodels++] = bridge;
    } else if (rules->rootBridge != VIR_DOMAIN_CONTROLLER_MODEL_PCI_DEFAULT) {
        chain->models[chain->nmodels++] = rules->rootBridge;
    } else if (haveBridge &&
               addrs->nbuses + 2 <= VIR_DOMAIN_PCI_BUSES_MAX &&
               virDomainPCITopologyCanHold(addrs,
                                           virDomainPCIControllerModelToConnectType(VIR_DOMAIN_CONTROLLER_MODEL_PCIE_ROOT_PORT),
                                           &anywhere, VIR_DOMAIN_PCI_DISPLACE_NONE)) {
        chain->models[chain->nmodels++] = bridge;
        chain->models[chain->nmodels++] = VIR_DOMAIN_CONTROLLER_MODEL_PCIE_ROOT_PORT;
    }

    return chain->nmodels > 0;
}


/**
 * virDomainPCIGrowthPlanBus:
 * @addrs: address set, on a dry run
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
    const virDomainPCIGrowthRules *rules = &addrs->plan->rules;
    virDomainControllerModelPCI filler = VIR_DOMAIN_CONTROLLER_MODEL_PCI_DEFAULT;
    virDomainPCISlotRequest req = {
        .flags = flags & VIR_PCI_CONNECT_TYPES_MASK,
        .model = -1,
        .node = -1,
        .function = -1,
        .controller = VIR_DOMAIN_PCI_ENDPOINT,
    };
    size_t need = addr->bus + 1 - addrs->nbuses;
    size_t i;

    if (addr->bus >= VIR_DOMAIN_PCI_BUSES_MAX)
        return false;

    for (i = 0; i < rules->nmodels; i++) {
        if (virDomainPCIModelOffers(rules->models[i], req.flags)) {
            filler = rules->models[i];
            break;
        }
    }

    if (filler == VIR_DOMAIN_CONTROLLER_MODEL_PCI_DEFAULT)
        return false;

    chain->nmodels = chain->nlinks = 0;
    chain->windows = (virDomainPCIWindows) { 0 };
    chain->node = -1;
    chain->group = NULL;
    chain->head = 0;
    chain->shares = false;

    if (!virDomainPCIGrowthIsAccepted(addrs, filler)) {
        if (need == 1)
            return virDomainPCIGrowthPlanLoneBus(addrs, addr, chain);

        if (!virDomainPCIGrowthPlanSlot(addrs, &req, chain) ||
            chain->nmodels > need)
            return false;
    }

    while (chain->nmodels < need)
        chain->models[chain->nmodels++] = filler;

    /* there are only so many PHBs */
    return !virDomainPCIModelIsRoot(filler) ||
        virDomainPCICountModel(addrs, filler) + need <= rules->rootsMax;
}


/* Gives the controllers of @chain, whose buses were appended to @addrs, their
 * slots from link @from on, as far as no endpoint device competes for them. A
 * slot that endpoints could use stays owed instead: all PCI controllers are
 * placed before all endpoints when addresses are really given, so on the next
 * run the controller gets its slot and it turns out whether the endpoints
 * still have enough. */
static int
virDomainPCIGrowthReserveChain(virDomainPCIAddressSet *addrs,
                               const virDomainPCIChain *chain,
                               size_t from)
{
    size_t first = addrs->nbuses - chain->nmodels;
    size_t i;

    for (i = from; i < chain->nlinks; i++) {
        virPCIDeviceAddress addr = { 0 };
        virDomainPCISlotRequest req;

        virDomainPCIPlanInitController(&req, addrs, first + i);

        if (!req.flags)
            continue;

        if (i > 0) {
            addr.bus = first + i - 1;
            addr.slot = addrs->buses[addr.bus].minSlot;
            if (!virDomainPCITopologySlotIsEmpty(addrs, &addr))
                continue;
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
 * virDomainPCIGrowthAdd:
 * @addrs: address set, on a dry run
 * @chain: controllers to add
 * @collecting: not all addresses that are given have been reserved yet, so
 *              that the first controller cannot be given a slot
 *
 * Appends the buses of @chain and gives its controllers their slots, as far as
 * these are for nobody else.
 *
 * Returns: 0 on success, -1 with an error reported
 */
int
virDomainPCIGrowthAdd(virDomainPCIAddressSet *addrs,
                      const virDomainPCIChain *chain,
                      bool collecting)
{
    size_t first;
    size_t i;

    if (virDomainPCIAddressSetGrow(addrs, chain) < 0)
        return -1;

    if (chain->shares)
        addrs->plan->shares = true;
    first = addrs->nbuses - chain->nmodels;

    if (virDomainPCIWindowsAny(&chain->windows))
        virDomainPCITopologySetWindows(addrs, first + chain->nlinks - 1, &chain->windows);

    for (i = 0; i < chain->nlinks; i++) {
        virDomainPCITopologySetNode(addrs, first + i, chain->node);
        if (!virDomainPCIModelIsHostBridge(chain->models[i]))
            addrs->plan->node[first + i] = chain->node;
        if (i >= chain->head)
            virDomainPCIGroupsSetBus(addrs, first + i, chain->group);
    }

    return virDomainPCIGrowthReserveChain(addrs, chain, collecting ? 1 : 0);
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

        if (virDomainPCIGrowthAdd(addrs, &chain, false) < 0)
            return -1;
    }

    return 1;
}
