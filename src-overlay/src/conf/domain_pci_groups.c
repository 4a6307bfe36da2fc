/*
 * domain_pci_groups.c: devices that belong together
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A group has a slot, the buses below a switch or those below a host bridge to
 * itself. The slot is the one in which its members are; buses belong to it if
 * their controller says so, or one on the way to the root: the head of the
 * group, an upstream port or a host bridge. So the definition alone says what
 * belongs to whom, also when all members are gone.
 */

#include <config.h>

#include "domain_pci_groups.h"
#include "domain_pci_topology_index.h"
#include "domain_conf.h"


static virDomainPCIGroupPlace *
virDomainPCIGroupsFind(virDomainPCIAddressSet *addrs,
                       const char *name)
{
    virDomainPCITopology *topology = virDomainPCITopologyGet(addrs);
    size_t i;

    for (i = 0; name && i < topology->ngroups; i++) {
        if (topology->groups[i].group.name == name)
            return &topology->groups[i];
    }

    return NULL;
}


/**
 * virDomainPCIGroupsGet:
 * @addrs: address set
 * @name: interned name of a group, or NULL
 *
 * Returns: its declaration, which belongs to @addrs, or NULL if there is none
 */
const virDomainPCIGroup *
virDomainPCIGroupsGet(virDomainPCIAddressSet *addrs,
                      const char *name)
{
    virDomainPCIGroupPlace *place = virDomainPCIGroupsFind(addrs, name);

    return place ? &place->group : NULL;
}


/* Is a controller of @model what a group that shares @share begins with? */
static bool
virDomainPCIGroupsIsHead(virDomainPCIGroupShare share,
                         virDomainControllerModelPCI model)
{
    return share == VIR_DOMAIN_PCI_GROUP_SWITCH ?
        model == VIR_DOMAIN_CONTROLLER_MODEL_PCIE_SWITCH_UPSTREAM_PORT :
        share == VIR_DOMAIN_PCI_GROUP_ROOT && virDomainPCIModelIsHostBridge(model);
}


static int
virDomainPCIGroupsCollectIter(virDomainDef *def G_GNUC_UNUSED,
                              virDomainDeviceDef *dev G_GNUC_UNUSED,
                              virDomainDeviceInfo *info,
                              void *opaque)
{
    virDomainPCIAddressSet *addrs = opaque;
    virDomainPCIGroupPlace *place = virDomainPCIGroupsFind(addrs, info->pciHints.group);

    if (place && !place->placed && virDomainPCIAddressIsOnBus(info)) {
        place->placed = true;
        place->addr = info->addr.pci;
    }

    if (place && place->group.share == VIR_DOMAIN_PCI_GROUP_SLOT && !place->onRoot &&
        info->pciConnectFlags & VIR_PCI_CONNECT_INTEGRATED)
        place->onRoot = info;

    return 0;
}


/**
 * virDomainPCIGroupsCollect:
 * @addrs: address set for @def
 * @def: domain definition
 *
 * Learns the groups that are declared, and which slots they have.
 */
void
virDomainPCIGroupsCollect(virDomainPCIAddressSet *addrs,
                          virDomainDef *def)
{
    virDomainPCITopology *topology = virDomainPCITopologyGet(addrs);
    size_t i;

    g_clear_pointer(&topology->groups, g_free);
    topology->ngroups = def->preferences ? def->preferences->ngroups : 0;

    if (topology->ngroups == 0)
        return;

    topology->groups = g_new0(virDomainPCIGroupPlace, topology->ngroups);
    for (i = 0; i < topology->ngroups; i++)
        topology->groups[i].group = def->preferences->groups[i];

    ignore_value(virDomainDeviceInfoIterate(def, virDomainPCIGroupsCollectIter, addrs));
}


/**
 * virDomainPCIGroupsSetBus:
 * @addrs: address set that knows the groups
 * @bus: a bus, by the index of the controller that provides it
 * @name: interned name of the group that the controller is for, or NULL; one
 *        that is not declared means nothing
 */
void
virDomainPCIGroupsSetBus(virDomainPCIAddressSet *addrs,
                         size_t bus,
                         const char *name)
{
    virDomainPCITopology *topology = virDomainPCITopologyGet(addrs);

    if (!virDomainPCIGroupsFind(addrs, name))
        return;

    topology->buses[bus].group = name;
    topology->grouped = true;
}


/**
 * virDomainPCIGroupsGetBus:
 * @addrs: address set
 * @bus: a bus, by the index of the controller that provides it
 *
 * Returns: interned name of the group that the bus belongs to, or NULL
 */
const char *
virDomainPCIGroupsGetBus(virDomainPCIAddressSet *addrs,
                         size_t bus)
{
    virDomainPCITopology *topology = virDomainPCITopologyGet(addrs);
    size_t steps;

    for (steps = 0; topology->grouped && steps < addrs->nbuses; steps++) {
        if (topology->buses[bus].group)
            return topology->buses[bus].group;
        if (!topology->buses[bus].connected || topology->buses[bus].parent >= addrs->nbuses)
            break;
        bus = topology->buses[bus].parent;
    }

    return NULL;
}


/**
 * virDomainPCIGroupsWanted:
 * @addrs: address set
 * @req: what a slot is for
 *
 * Returns: the group whose buses alone will do, NULL: those that belong to none
 */
const char *
virDomainPCIGroupsWanted(virDomainPCIAddressSet *addrs,
                         const virDomainPCISlotRequest *req)
{
    const virDomainPCIGroup *group = virDomainPCIGroupsGet(addrs, req->group);

    return group && group->share != VIR_DOMAIN_PCI_GROUP_SLOT ? group->name : NULL;
}


/**
 * virDomainPCIGroupsInitRequest:
 * @req: request of a member of a group, or of a slot that is kept for one
 * @addrs: address set
 * @name: interned name of the group, or NULL; one that is not declared means
 *        nothing
 *
 * Adds what the group asks for. What joins others in a slot need not be of
 * their kind.
 */
void
virDomainPCIGroupsInitRequest(virDomainPCISlotRequest *req,
                              virDomainPCIAddressSet *addrs,
                              const char *name)
{
    const virDomainPCIGroup *group = virDomainPCIGroupsGet(addrs, name);

    if (!group)
        return;

    req->group = name;
    if (group->node >= 0)
        req->node = group->node;
    if (virDomainPCIGroupsHaveSlot(addrs, req))
        req->fallback = VIR_PCI_CONNECT_TYPES_ENDPOINT;
}


/**
 * virDomainPCIGroupsInitController:
 * @req: request of a PCI controller
 * @addrs: address set
 * @idx: its index
 *
 * What was added for a group belongs below the head of it, but the head is
 * plugged in where others are.
 */
void
virDomainPCIGroupsInitController(virDomainPCISlotRequest *req,
                                 virDomainPCIAddressSet *addrs,
                                 size_t idx)
{
    const char *name = virDomainPCITopologyGet(addrs)->buses[idx].group;
    const virDomainPCIGroup *group = virDomainPCIGroupsGet(addrs, name);

    if (group && !virDomainPCIGroupsIsHead(group->share, addrs->buses[idx].model))
        req->group = name;
}


/**
 * virDomainPCIGroupsFit:
 * @addrs: address set
 * @req: what a slot is for
 * @bus: a bus
 *
 * Returns: true if @bus belongs to the group that @req has to be in, or if both
 *          belong to none
 */
bool
virDomainPCIGroupsFit(virDomainPCIAddressSet *addrs,
                      const virDomainPCISlotRequest *req,
                      size_t bus)
{
    return virDomainPCIGroupsGetBus(addrs, bus) == virDomainPCIGroupsWanted(addrs, req);
}


/**
 * virDomainPCIGroupsHaveSlot:
 * @addrs: address set
 * @req: what a slot is for
 *
 * Returns: true if @req has to be a function of a slot that is in use
 */
bool
virDomainPCIGroupsHaveSlot(virDomainPCIAddressSet *addrs,
                           const virDomainPCISlotRequest *req)
{
    const virDomainPCIGroupPlace *place = virDomainPCIGroupsFind(addrs, req->group);

    return place && place->placed && place->group.share == VIR_DOMAIN_PCI_GROUP_SLOT &&
        place->addr.bus < addrs->nbuses;
}


/**
 * virDomainPCIGroupsKeepSlots:
 * @addrs: address set in which all PCI controllers have their places
 *
 * Keeps a slot of the root bus for each group that needs one. Devices that can
 * share a slot have all that are left otherwise, if they are placed before.
 */
void
virDomainPCIGroupsKeepSlots(virDomainPCIAddressSet *addrs)
{
    virDomainPCITopology *topology = virDomainPCITopologyGet(addrs);
    size_t i;

    for (i = 0; i < topology->ngroups; i++) {
        virDomainPCIGroupPlace *place = &topology->groups[i];
        virPCIDeviceAddress addr = { 0 };
        virDomainPCISlotRequest req;

        if (place->placed || !place->onRoot)
            continue;

        virDomainPCISlotRequestInit(&req, addrs, place->onRoot, place->onRoot->pciConnectFlags);
        place->onRoot = NULL;

        if (virDomainPCITopologyFindSlot(addrs, &req, &addr)) {
            place->placed = true;
            place->addr = addr;
            virDomainPCITopologyExpect(addrs, &addr);
        }
    }
}


/**
 * virDomainPCIGroupsFindFunction:
 * @addrs: address set
 * @req: what a slot is for; its group has one
 * @addr: filled with the address found
 *
 * Finds the lowest free function of the slot of a group.
 *
 * Returns: true if there is one that suits @req; no error is reported
 *          otherwise
 */
bool
virDomainPCIGroupsFindFunction(virDomainPCIAddressSet *addrs,
                               const virDomainPCISlotRequest *req,
                               virPCIDeviceAddress *addr)
{
    const virDomainPCIGroupPlace *place = virDomainPCIGroupsFind(addrs, req->group);
    const virDomainPCIAddressBus *bus;
    uint8_t functions;

    if (!place || place->addr.bus >= addrs->nbuses)
        return false;

    bus = &addrs->buses[place->addr.bus];
    functions = bus->slot[place->addr.slot].functions;

    if (functions == ALL_FUNCTIONS ||
        bus->isolationGroup != req->isolationGroup ||
        (req->model >= 0 && (int)bus->model != req->model) ||
        !virDomainPCIBusSuits(bus->flags, place->addr.bus, req->flags | req->fallback, false))
        return false;

    addr->bus = place->addr.bus;
    addr->slot = place->addr.slot;
    addr->function = __builtin_ctz(~functions);
    return true;
}


/**
 * virDomainPCIGroupsPlaced:
 * @addrs: address set
 * @req: what the slot was for
 * @addr: address that was chosen and reserved
 *
 * Remembers which slot a group has.
 */
void
virDomainPCIGroupsPlaced(virDomainPCIAddressSet *addrs,
                         const virDomainPCISlotRequest *req,
                         const virPCIDeviceAddress *addr)
{
    virDomainPCIGroupPlace *place = virDomainPCIGroupsFind(addrs, req->group);

    if (place && !place->placed && req->info) {
        place->placed = true;
        place->addr = *addr;
    }
}


/**
 * virDomainPCIGroupsWantHost:
 * @addrs: address set
 * @req: what a slot is for
 *
 * Returns: true if it has to be below a host bridge of its own
 */
bool
virDomainPCIGroupsWantHost(virDomainPCIAddressSet *addrs,
                           const virDomainPCISlotRequest *req)
{
    const virDomainPCIGroup *group = virDomainPCIGroupsGet(addrs, req->group);

    return group && group->share == VIR_DOMAIN_PCI_GROUP_ROOT;
}


/**
 * virDomainPCIGroupsBegin:
 * @addrs: address set
 * @req: what a slot is for
 *
 * Returns: true if it is for a group that has no switch or host bridge yet
 */
bool
virDomainPCIGroupsBegin(virDomainPCIAddressSet *addrs,
                        const virDomainPCISlotRequest *req)
{
    virDomainPCITopology *topology = virDomainPCITopologyGet(addrs);
    const char *wanted = virDomainPCIGroupsWanted(addrs, req);
    size_t i;

    for (i = 0; wanted && i < addrs->nbuses; i++) {
        if (topology->buses[i].group == wanted)
            return false;
    }

    return wanted;
}


/**
 * virDomainPCIGroupsFindHead:
 * @addrs: address set
 * @req: what a slot is for
 * @models: models of controllers that may be added for it, from the root on
 * @nmodels: how many these are
 * @head: set to the first of them that belongs to the group
 *
 * Returns: false if they do not bring the one head that the group needs
 */
bool
virDomainPCIGroupsFindHead(virDomainPCIAddressSet *addrs,
                           const virDomainPCISlotRequest *req,
                           const virDomainControllerModelPCI *models,
                           size_t nmodels,
                           size_t *head)
{
    const virDomainPCIGroup *group = virDomainPCIGroupsGet(addrs, req->group);
    bool begins = virDomainPCIGroupsBegin(addrs, req);
    size_t i;

    *head = 0;

    for (i = 0; group && i < nmodels; i++) {
        if (virDomainPCIGroupsIsHead(group->share, models[i])) {
            *head = i;
            return begins;
        }
    }

    return !begins;
}


/**
 * virDomainPCIGroupsIsSlot:
 * @def: domain definition
 * @info: info of one of its devices
 *
 * Returns: true if the device belongs to a group that shares a slot
 */
bool
virDomainPCIGroupsIsSlot(const virDomainDef *def,
                         const virDomainDeviceInfo *info)
{
    const virDomainPCIGroup *group = virDomainPreferencesGetGroup(def->preferences,
                                                                  info->pciHints.group);

    return group && group->share == VIR_DOMAIN_PCI_GROUP_SLOT;
}


/* Does @bus lead to the head of @group? A dmi-to-pci-bridge is on the root bus
 * of q35, whomever it is for. */
static bool
virDomainPCIGroupsLeadsToHead(virDomainPCIAddressSet *addrs,
                              size_t bus,
                              const virDomainPCIGroup *group)
{
    size_t steps;

    for (steps = 0; steps < addrs->nbuses; steps++) {
        if (virDomainPCIGroupsGetBus(addrs, bus) != group->name)
            return false;
        if (virDomainPCIGroupsIsHead(group->share, addrs->buses[bus].model))
            return true;
        if (!virDomainPCITopologyGetParent(addrs, bus, &bus) || bus >= addrs->nbuses)
            return false;
    }

    return false;
}


/* Is @addr in the slot of a group other than @name? */
static bool
virDomainPCIGroupsIsOthers(virDomainPCIAddressSet *addrs,
                           const virPCIDeviceAddress *addr,
                           const char *name)
{
    virDomainPCITopology *topology = virDomainPCITopologyGet(addrs);
    size_t i;

    for (i = 0; i < topology->ngroups; i++) {
        const virDomainPCIGroupPlace *place = &topology->groups[i];

        if (place->placed && place->group.share == VIR_DOMAIN_PCI_GROUP_SLOT &&
            place->group.name != name &&
            place->addr.bus == addr->bus && place->addr.slot == addr->slot)
            return true;
    }

    return false;
}


/**
 * virDomainPCIGroupsPlaceProblem:
 * @addrs: address set
 * @info: info of a device that has an address on one of its buses
 *
 * Returns: why the device cannot have that address, or NULL
 */
const char *
virDomainPCIGroupsPlaceProblem(virDomainPCIAddressSet *addrs,
                               const virDomainDeviceInfo *info)
{
    const virPCIDeviceAddress *addr = &info->addr.pci;
    const virDomainPCIGroupPlace *place = virDomainPCIGroupsFind(addrs, info->pciHints.group);
    const char *bus = virDomainPCIGroupsGetBus(addrs, addr->bus);

    if (place && place->group.share == VIR_DOMAIN_PCI_GROUP_SLOT) {
        if (place->placed &&
            (place->addr.bus != addr->bus || place->addr.slot != addr->slot))
            return _("the address is not in the slot of the group");
        if (bus)
            return _("the bus of the address belongs to a group that the device is not in");
    } else if (place && !virDomainPCIGroupsLeadsToHead(addrs, addr->bus, &place->group)) {
        return place->group.share == VIR_DOMAIN_PCI_GROUP_SWITCH ?
            _("the bus of the address is not below the switch of the group") :
            _("the bus of the address is not below the host bridge of the group");
    } else if (!place && bus) {
        return _("the bus of the address belongs to a group that the device is not in");
    }

    if (virDomainPCIGroupsIsOthers(addrs, addr, info->pciHints.group))
        return _("the slot of the address belongs to a group that the device is not in");

    return NULL;
}
