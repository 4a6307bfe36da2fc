/*
 * domain_pci_plan.c: the PCI controllers that a definition is to get
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Places controllers, those of the definition and those that are planned, and
 * keeps what has been decided about them from one dry run to the next. All
 * addresses that came with the definition are known before anything else is
 * placed, so that no decision depends on the order in which they are listed.
 */

#include <config.h>

#include "domain_pci_functions.h"
#include "domain_pci_groups.h"
#include "domain_pci_padding.h"
#include "domain_pci_topology.h"
#include "virerror.h"

#define VIR_FROM_THIS VIR_FROM_DOMAIN


/**
 * virDomainPCIPlanNew:
 *
 * Returns: a plan that knows nothing yet, to be freed by the caller
 */
virDomainPCIPlan *
virDomainPCIPlanNew(void)
{
    virDomainPCIPlan *plan = g_new0(virDomainPCIPlan, 1);

    plan->spare = virBitmapNew(VIR_DOMAIN_PCI_BUSES_MAX);
    plan->windowed = virBitmapNew(VIR_DOMAIN_PCI_BUSES_MAX);
    virDomainPCIPlanReset(plan, VIR_DOMAIN_PCI_PADDING_BY_DEVICE, NULL);

    return plan;
}


/**
 * virDomainPCIPlanFree:
 * @plan: plan to free, or NULL; no address set may use it any more
 */
void
virDomainPCIPlanFree(virDomainPCIPlan *plan)
{
    if (!plan)
        return;

    virBitmapFree(plan->spare);
    virBitmapFree(plan->windowed);
    g_free(plan->written);
    g_free(plan);
}


/**
 * virDomainPCIPlanReset:
 * @plan: a plan
 * @padding: how to fill the buses up to written addresses
 * @def: definition whose devices are to be placed, or NULL; it stays the
 *       caller's
 *
 * Forgets what was decided, and begins anew. The rules stay.
 */
void
virDomainPCIPlanReset(virDomainPCIPlan *plan,
                      virDomainPCIPadding padding,
                      virDomainDef *def)
{
    size_t i;

    plan->padding = padding;
    plan->def = def;
    plan->shares = false;
    virBitmapClearAll(plan->spare);
    virBitmapClearAll(plan->windowed);
    for (i = 0; i < VIR_DOMAIN_PCI_BUSES_MAX; i++)
        plan->parent[i] = plan->node[i] = -1;
}


/**
 * virDomainPCIPlanInitController:
 * @req: request to fill
 * @addrs: address set
 * @idx: index of a PCI controller, and of the bus that it provides
 *
 * A controller that was added for a NUMA node belongs below a host bridge of
 * it, one that was added for a group into that. None that is added takes the
 * last bus number of another, while those that the user has listed go where
 * libvirt always put them.
 */
void
virDomainPCIPlanInitController(virDomainPCISlotRequest *req,
                               virDomainPCIAddressSet *addrs,
                               size_t idx)
{
    virDomainPCISlotRequestInitController(req, addrs->buses[idx].model, idx);

    if (!virDomainPCIModelIsHostBridge(addrs->buses[idx].model))
        req->node = virDomainPCITopologyGetNode(addrs, idx);

    virDomainPCIGroupsInitController(req, addrs, idx);
    req->numbered = addrs->plan && idx >= addrs->plan->nbusesGiven;
}


/* Keeps the places of the controllers that have one in the plan, and what they
 * were added for */
static int
virDomainPCIPlanReserveKept(virDomainPCIAddressSet *addrs)
{
    size_t i;

    for (i = 0; i < addrs->nbuses && i < VIR_DOMAIN_PCI_BUSES_MAX; i++) {
        virPCIDeviceAddress addr = { .bus = addrs->plan->parent[i] };

        if (addrs->plan->node[i] >= 0)
            virDomainPCITopologySetNode(addrs, i, addrs->plan->node[i]);

        if (addrs->plan->parent[i] < 0)
            continue;

        if (virDomainPCIAddressReserveAddr(addrs, &addr,
                                           virDomainPCIControllerModelToConnectType(addrs->buses[i].model),
                                           0) < 0)
            return -1;

        virDomainPCITopologyConnect(addrs, i, addr.bus);
    }

    return 0;
}


/**
 * virDomainPCIPlanPrepareSet:
 * @addrs: address set with the models of the PCI controllers in @def; on a dry
 *         run it has a plan
 * @def: domain definition
 * @filler: model for buses between them
 *
 * Completes the buses of @addrs, on a dry run also with those that the
 * addresses in @def need, before any address is reserved.
 *
 * Returns: 0 on success, -1 with an error reported: VIR_ERR_XML_ERROR if an
 *          address in @def cannot be had
 */
int
virDomainPCIPlanPrepareSet(virDomainPCIAddressSet *addrs,
                           virDomainDef *def,
                           virDomainControllerModelPCI filler)
{
    virDomainPCIPlan *plan = addrs->plan;

    if (addrs->dryRun)
        virDomainPCIPaddingCollect(plan, def);

    if (virDomainPCIPaddingFillGaps(addrs, filler) < 0)
        return -1;

    virDomainPCIGroupsCollect(addrs, def);
    virDomainPCITopologyConnectAll(addrs, def);
    virDomainPCIFunctionsCollect(addrs, def);

    if (plan && virDomainPCIPlanReserveKept(addrs) < 0)
        return -1;

    if (!addrs->dryRun)
        return 0;

    return virDomainPCIPaddingAdd(addrs, filler);
}


/**
 * virDomainPCIPlanFindSlot:
 * @addrs: address set
 * @req: what the slot is for
 * @addr: filled with the address found
 *
 * Finds a free address. On a dry run it adds the controllers that lead to one.
 *
 * Returns: 0 on success, -1 with an error reported, see
 *          virDomainPCISlotRequestRefuse(); VIR_ERR_XML_ERROR if the guest has
 *          no PCI at all
 */
int
virDomainPCIPlanFindSlot(virDomainPCIAddressSet *addrs,
                         const virDomainPCISlotRequest *req,
                         virPCIDeviceAddress *addr)
{
    virDomainPCISlotRequest request = *req;
    int rc;

    if (addrs->nbuses == 0) {
        virReportError(VIR_ERR_XML_ERROR, "%s", _("No PCI buses available"));
        return -1;
    }

    if (addrs->plan && req->controller == VIR_DOMAIN_PCI_ENDPOINT)
        virDomainPCIGroupsKeepSlots(addrs);

    /* a slot that is to stay free is thrifty by itself */
    if (addrs->plan && addrs->plan->thrifty && !req->thrifty) {
        request.thrifty = true;
        request.spared = addrs->plan->windowed;
    }

    rc = virDomainPCIGrowthFindSlot(addrs, &request, addr);

    if (rc == 0 && request.spared) {
        request.spared = NULL;
        rc = virDomainPCIGrowthFindSlot(addrs, &request, addr);
    }

    if (rc == 0)
        virDomainPCISlotRequestRefuse(req, addrs->plan ? addrs->plan->def : NULL, addrs);

    return rc > 0 ? 0 : -1;
}


/* Does a controller of @model other than @except wait for a place? One that has
 * no room does not count, and one for which there is a place already waits for
 * nothing. */
static bool
virDomainPCIPlanHasUnplaced(virDomainPCIAddressSet *addrs,
                            virDomainControllerModelPCI model,
                            int except)
{
    virPCIDeviceAddress addr = { 0 };
    virDomainPCISlotRequest req;
    size_t parent;
    size_t i;

    for (i = 0; i < addrs->nbuses; i++) {
        if ((int)i == except || addrs->buses[i].model != model ||
            virDomainPCITopologyGetParent(addrs, i, &parent) ||
            !virDomainPCITopologyHasRoom(addrs, i))
            continue;

        virDomainPCIPlanInitController(&req, addrs, i);
        if (!virDomainPCITopologyFindSlot(addrs, &req, &addr))
            return true;
    }

    return false;
}


/* Would a controller be added although the user has listed one like it, whose
 * turn just has not come? */
static bool
virDomainPCIPlanShouldWait(virDomainPCIAddressSet *addrs,
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
        if (virDomainPCIPlanHasUnplaced(addrs, chain.models[i], req->controller))
            return true;
    }

    return false;
}


static int
virDomainPCIPlanPlace(virDomainPCIAddressSet *addrs,
                      virDomainControllerDef *cont)
{
    virDomainPCISlotRequest req;

    virDomainPCIPlanInitController(&req, addrs, cont->idx);

    if (virDomainPCIPlanShouldWait(addrs, &req))
        return 0;

    return virDomainPCIAddressReserveRequest(addrs, &req, &cont->info);
}


/**
 * virDomainPCIPlanReserveController:
 * @addrs: address set
 * @cont: PCI controller without an address
 *
 * Places @cont on a bus that reaches the root without it, or where the plan
 * keeps a place for it. On a dry run it may be left for the next one, until
 * the controllers above it have their places. Spare controllers are left for
 * virDomainPCIPlanReserveSpareControllers().
 *
 * Returns: 0 on success, -1 with an error reported
 */
int
virDomainPCIPlanReserveController(virDomainPCIAddressSet *addrs,
                                  virDomainControllerDef *cont)
{
    const virDomainPCIPlan *plan = addrs->plan;

    if (plan && plan->parent[cont->idx] >= 0) {
        if (!addrs->dryRun) {
            cont->info.type = VIR_DOMAIN_DEVICE_ADDRESS_TYPE_PCI;
            cont->info.addr.pci.bus = plan->parent[cont->idx];
        }
        return 0;
    }

    if (plan && virBitmapIsBitSet(plan->spare, cont->idx))
        return 0;

    return virDomainPCIPlanPlace(addrs, cont);
}


/**
 * virDomainPCIPlanReserveSpareControllers:
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
virDomainPCIPlanReserveSpareControllers(virDomainPCIAddressSet *addrs,
                                        virDomainDef *def)
{
    size_t i;

    for (i = 0; addrs->plan && i < def->ncontrollers; i++) {
        virDomainControllerDef *cont = def->controllers[i];
        virPCIDeviceAddress addr = { 0 };
        virDomainPCISlotRequest req;

        /* the chipset may have given it a place, or the plan keeps one */
        if (cont->type != VIR_DOMAIN_CONTROLLER_TYPE_PCI ||
            !virBitmapIsBitSet(addrs->plan->spare, cont->idx) ||
            addrs->plan->parent[cont->idx] >= 0 ||
            !virDeviceInfoPCIAddressIsWanted(&cont->info))
            continue;

        virDomainPCIPlanInitController(&req, addrs, cont->idx);
        /* a slot that others have windows for is none for it */
        req.spared = addrs->plan->windowed;

        if (addrs->dryRun && !virDomainPCITopologyFindSlot(addrs, &req, &addr)) {
            ignore_value(virBitmapClearBit(addrs->plan->spare, cont->idx));
            continue;
        }

        if (virDomainPCIPlanPlace(addrs, cont) < 0)
            return -1;
    }

    return 0;
}


/**
 * virDomainPCIPlanReserveFree:
 * @addrs: address set, on a dry run
 * @req: what the slot has to be, see virDomainPCISlotRequestInitFree()
 *
 * Makes sure that there is one slot more than the devices need.
 *
 * Returns: 1 on success, 0 if it is the only thing that does not fit (no error
 *          is reported), -1 with an error reported
 */
int
virDomainPCIPlanReserveFree(virDomainPCIAddressSet *addrs,
                            const virDomainPCISlotRequest *req)
{
    virDomainDeviceInfo info = { 0 };
    virPCIDeviceAddress addr = { 0 };
    int rc;

    if ((rc = virDomainPCIGrowthFindSlot(addrs, req, &addr)) <= 0)
        return rc;

    return virDomainPCIAddressReserveRequest(addrs, req, &info) < 0 ? -1 : 1;
}


/* How many bridges can be plugged in where no device would be given a slot? */
static size_t
virDomainPCIPlanCountBridgeSlots(const virDomainPCIAddressSet *addrs)
{
    size_t count = 0;
    size_t i;
    size_t slot;

    for (i = 0; i < addrs->nbuses; i++) {
        const virDomainPCIAddressBus *bus = &addrs->buses[i];

        if (!(bus->flags & VIR_PCI_CONNECT_TYPE_PCI_BRIDGE) ||
            bus->flags & VIR_PCI_CONNECT_AUTOASSIGN)
            continue;

        for (slot = bus->minSlot; slot <= bus->maxSlot; slot++)
            count += bus->slot[slot].functions == 0;
    }

    return count;
}


/**
 * virDomainPCIPlanReserveDisplaced:
 * @addrs: address set, on a dry run, in which all devices have been placed
 *
 * On the next run the bridges that were added will be placed before the
 * devices, and have the slots of some. Finds slots for these now, so that the
 * bridges that lead to them need no further run each.
 *
 * Returns: 0 on success, -1 with an error reported
 */
int
virDomainPCIPlanReserveDisplaced(virDomainPCIAddressSet *addrs)
{
    size_t bridgeSlots = virDomainPCIPlanCountBridgeSlots(addrs);
    virDomainPCISlotRequest req;
    size_t parent;
    size_t i;

    virDomainPCISlotRequestInitFree(&req, VIR_PCI_CONNECT_TYPE_PCI_DEVICE);

    /* there may be more and more buses */
    for (i = 0; i < addrs->nbuses; i++) {
        virDomainPCIConnectFlags plug = virDomainPCIControllerModelToConnectType(addrs->buses[i].model);

        if (!(plug & VIR_PCI_CONNECT_TYPE_PCI_BRIDGE) ||
            virDomainPCITopologyGetParent(addrs, i, &parent) ||
            virBitmapIsBitSet(addrs->plan->spare, i))
            continue;

        if (bridgeSlots > 0)
            bridgeSlots--;
        else if (virDomainPCIPlanReserveFree(addrs, &req) < 0)
            return -1;
    }

    return 0;
}


/**
 * virDomainPCIPlanNote:
 * @addrs: address set, at the end of a dry run
 * @bus: a bus that was added
 * @spare: it was added for the sake of its free slots
 *
 * Remembers in the plan what matters on the next runs. A switch keeps the port
 * that was added for it: if it were given the lowest free port like other
 * controllers, it could sit on a downstream port of another switch, and its
 * own port would be left over.
 */
void
virDomainPCIPlanNote(virDomainPCIAddressSet *addrs,
                     size_t bus,
                     bool spare)
{
    size_t parent;

    if (addrs->buses[bus].model == VIR_DOMAIN_CONTROLLER_MODEL_PCIE_SWITCH_UPSTREAM_PORT &&
        virDomainPCITopologyGetParent(addrs, bus, &parent))
        addrs->plan->parent[bus] = parent;

    if (spare)
        ignore_value(virBitmapSetBit(addrs->plan->spare, bus));

    if (virDomainPCIWindowsAny(virDomainPCITopologyGetWindows(addrs, bus)))
        ignore_value(virBitmapSetBit(addrs->plan->windowed, bus));
}


/**
 * virDomainPCIPlanIsSettled:
 * @addrs: address set
 *
 * Returns: true if all PCI controllers have their places
 */
bool
virDomainPCIPlanIsSettled(virDomainPCIAddressSet *addrs)
{
    size_t parent;
    size_t i;

    for (i = 0; i < addrs->nbuses; i++) {
        if (!virDomainPCITopologyGetParent(addrs, i, &parent) &&
            !virDomainPCIModelIsRoot(addrs->buses[i].model))
            return false;
    }

    return true;
}
