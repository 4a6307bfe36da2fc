/*
 * domain_pci_topology.c: how the PCI buses of a guest hang together
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * An index over virDomainPCIAddressSet: which slot is free on which bus, and
 * on which bus the controller behind each bus sits.
 */

#include <config.h>

#include "domain_pci_functions.h"
#include "domain_pci_groups.h"
#include "domain_pci_topology_index.h"
#include "viralloc.h"


/**
 * virDomainPCITopologyFree:
 * @topology: index to free, or NULL
 */
void
virDomainPCITopologyFree(virDomainPCITopology *topology)
{
    size_t type;

    if (!topology)
        return;

    for (type = TYPE_FIRST; type <= TYPE_LAST; type++)
        virBitmapFree(topology->room[type]);
    g_free(topology->buses);
    g_free(topology->groups);
    g_free(topology);
}


/**
 * virDomainPCITopologySlots:
 * @bus: a bus
 *
 * Returns: the slots that it has, as a mask
 */
uint32_t
virDomainPCITopologySlots(const virDomainPCIAddressBus *bus)
{
    return (UINT32_MAX >> (VIR_PCI_ADDRESS_SLOT_LAST - bus->maxSlot)) &
        (UINT32_MAX << bus->minSlot);
}


static void
virDomainPCITopologyUpdateSlot(virDomainPCITopology *topology,
                               const virDomainPCIAddressBus *bus,
                               size_t idx,
                               size_t slot)
{
    virDomainPCITopologyBus *topo = &topology->buses[idx];
    uint32_t bit = 1U << slot;
    uint8_t functions = bus->slot[slot].functions;

    topo->empty &= ~bit;
    topo->shared &= ~bit;

    if (functions == 0) {
        topo->empty |= bit & ~topology->expected[idx];
        topo->movable &= ~bit;
    } else if (bus->slot[slot].aggregate && functions != ALL_FUNCTIONS) {
        topo->shared |= bit;
    }

    topo->empty &= virDomainPCITopologySlots(bus);
    topo->shared &= virDomainPCITopologySlots(bus);
}


static void
virDomainPCITopologyUpdateRoom(virDomainPCITopology *topology,
                               const virDomainPCIAddressBus *bus,
                               size_t idx)
{
    virDomainPCITopologyBus *topo = &topology->buses[idx];
    bool room = topo->empty || topo->shared;
    size_t type;

    if (room == topo->room)
        return;

    topo->room = room;

    for (type = TYPE_FIRST; type <= TYPE_LAST; type++) {
        if (!(bus->flags & (1 << type)))
            continue;

        if (room)
            virBitmapSetBitExpand(topology->room[type], idx);
        else
            virBitmapClearBitExpand(topology->room[type], idx);
    }
}


/* Counts the controller of @bus among those that have no place, or no longer */
static void
virDomainPCITopologyOwe(virDomainPCITopology *topology,
                        const virDomainPCIAddressBus *bus,
                        int change)
{
    virDomainPCIConnectFlags plug = virDomainPCIControllerModelToConnectType(bus->model);
    size_t type;

    for (type = TYPE_FIRST; type <= TYPE_LAST; type++) {
        if (plug & (1 << type))
            topology->owed[type] += change;
    }
}


static void
virDomainPCITopologyAddBus(virDomainPCITopology *topology,
                           const virDomainPCIAddressBus *bus,
                           size_t idx)
{
    size_t slot;

    topology->buses[idx] = (virDomainPCITopologyBus) { .node = -1, .busNr = -1 };

    for (slot = bus->minSlot; slot <= bus->maxSlot; slot++)
        virDomainPCITopologyUpdateSlot(topology, bus, idx, slot);
    virDomainPCITopologyUpdateRoom(topology, bus, idx);
    virDomainPCITopologyOwe(topology, bus, 1);
}


/**
 * virDomainPCITopologyGet:
 * @addrs: address set
 *
 * The index is made when it is first needed, because the hypervisor driver
 * sets the models of the buses one by one, and it follows when
 * virDomainPCIAddressSetGrow() appends buses.
 *
 * Returns: the index over @addrs, to which it belongs
 */
virDomainPCITopology *
virDomainPCITopologyGet(virDomainPCIAddressSet *addrs)
{
    virDomainPCITopology *topology = addrs->topology;
    size_t type;
    size_t i;

    if (!topology) {
        topology = addrs->topology = g_new0(virDomainPCITopology, 1);
        for (type = TYPE_FIRST; type <= TYPE_LAST; type++)
            topology->room[type] = virBitmapNew(0);
    }

    if (topology->nbuses < addrs->nbuses) {
        i = topology->nbuses;
        VIR_EXPAND_N(topology->buses, topology->nbuses,
                     addrs->nbuses - topology->nbuses);

        for (; i < addrs->nbuses; i++)
            virDomainPCITopologyAddBus(topology, &addrs->buses[i], i);
    }

    return topology;
}


/**
 * virDomainPCITopologySetModel:
 * @addrs: address set
 * @idx: a bus that had no model so far
 * @model: model of the controller that is to provide it
 *
 * Returns: 0 on success, -1 with VIR_ERR_INTERNAL_ERROR reported
 */
int
virDomainPCITopologySetModel(virDomainPCIAddressSet *addrs,
                             size_t idx,
                             virDomainControllerModelPCI model)
{
    if (virDomainPCIAddressBusSetModel(&addrs->buses[idx], model, true) < 0)
        return -1;

    virDomainPCITopologyAddBus(virDomainPCITopologyGet(addrs), &addrs->buses[idx], idx);
    return 0;
}


/**
 * virDomainPCITopologySlotChanged:
 * @addrs: address set
 * @addr: address of which a function was reserved or released
 *
 * Keeps the index true. Must follow every change of the slots in @addrs.
 */
void
virDomainPCITopologySlotChanged(virDomainPCIAddressSet *addrs,
                                const virPCIDeviceAddress *addr)
{
    virDomainPCITopology *topology = virDomainPCITopologyGet(addrs);
    virDomainPCIAddressBus *bus = &addrs->buses[addr->bus];

    virDomainPCITopologyUpdateSlot(topology, bus, addr->bus, addr->slot);
    virDomainPCITopologyUpdateRoom(topology, bus, addr->bus);
}


/**
 * virDomainPCITopologyExpect:
 * @addrs: address set
 * @addr: address that the user wrote, on a bus that may not be there yet
 *
 * Keeps the slot of @addr for the device that will reserve it.
 */
void
virDomainPCITopologyExpect(virDomainPCIAddressSet *addrs,
                           const virPCIDeviceAddress *addr)
{
    virDomainPCITopology *topology = virDomainPCITopologyGet(addrs);

    if (addr->bus >= VIR_DOMAIN_PCI_BUSES_MAX || addr->slot > VIR_PCI_ADDRESS_SLOT_LAST)
        return;

    topology->expected[addr->bus] |= 1U << addr->slot;
    if (addr->bus < addrs->nbuses)
        virDomainPCITopologySlotChanged(addrs, addr);
}


/**
 * virDomainPCITopologyConnect:
 * @addrs: address set
 * @bus: a bus, by the index of the controller that provides it
 * @parent: the bus on which that controller sits
 */
void
virDomainPCITopologyConnect(virDomainPCIAddressSet *addrs,
                            size_t bus,
                            size_t parent)
{
    virDomainPCITopology *topology = virDomainPCITopologyGet(addrs);
    virDomainPCITopologyBus *topo = &topology->buses[bus];

    if (!topo->connected)
        virDomainPCITopologyOwe(topology, &addrs->buses[bus], -1);

    topo->parent = parent;
    topo->connected = true;
}


/**
 * virDomainPCITopologyGetParent:
 * @addrs: address set
 * @bus: a bus, by the index of the controller that provides it
 * @parent: filled with the bus on which that controller sits
 *
 * Returns: true if the controller has a place
 */
bool
virDomainPCITopologyGetParent(virDomainPCIAddressSet *addrs,
                              size_t bus,
                              size_t *parent)
{
    virDomainPCITopologyBus *topo = &virDomainPCITopologyGet(addrs)->buses[bus];

    *parent = topo->parent;
    return topo->connected;
}


/**
 * virDomainPCITopologyConnectAll:
 * @addrs: address set that has a bus for each PCI controller of @def
 * @def: domain definition
 *
 * Connects all buses whose controllers have an address in @def already, and
 * learns the windows and groups of all, and the NUMA nodes of host bridges.
 */
void
virDomainPCITopologyConnectAll(virDomainPCIAddressSet *addrs,
                               const virDomainDef *def)
{
    size_t i;

    for (i = 0; i < def->ncontrollers; i++) {
        virDomainControllerDef *cont = def->controllers[i];
        virDomainPCIWindows windows;

        if (cont->type != VIR_DOMAIN_CONTROLLER_TYPE_PCI)
            continue;

        virDomainPCIWindowsGet(&cont->opts.pciopts, &windows);
        virDomainPCITopologySetWindows(addrs, cont->idx, &windows);
        virDomainPCIGroupsSetBus(addrs, cont->idx, cont->opts.pciopts.group);

        if (virDomainPCIModelIsHostBridge(cont->model)) {
            virDomainPCITopologySetNode(addrs, cont->idx, cont->opts.pciopts.numaNode);
            virDomainPCITopologySetBusNr(addrs, cont->idx, cont->opts.pciopts.busNr);
        }

        if (virDeviceInfoPCIAddressIsPresent(&cont->info))
            virDomainPCITopologyConnect(addrs, cont->idx, cont->info.addr.pci.bus);
    }
}


/**
 * virDomainPCITopologySetWindows:
 * @addrs: address set
 * @bus: a bus, by the index of the controller that provides it
 * @windows: windows of that controller
 */
void
virDomainPCITopologySetWindows(virDomainPCIAddressSet *addrs,
                               size_t bus,
                               const virDomainPCIWindows *windows)
{
    virDomainPCITopology *topology = virDomainPCITopologyGet(addrs);

    topology->buses[bus].windows = *windows;
    if (virDomainPCIWindowsAny(windows))
        topology->windows = true;
}


/**
 * virDomainPCITopologyGetWindows:
 * @addrs: address set
 * @bus: a bus, by the index of the controller that provides it
 *
 * Returns: the windows of that controller; they belong to @addrs
 */
const virDomainPCIWindows *
virDomainPCITopologyGetWindows(virDomainPCIAddressSet *addrs,
                               size_t bus)
{
    return &virDomainPCITopologyGet(addrs)->buses[bus].windows;
}


/**
 * virDomainPCITopologySetNode:
 * @addrs: address set
 * @bus: a bus, by the index of the controller that provides it
 * @node: NUMA node of the guest that a host bridge has, or that another
 *        controller which has no place yet must be below; -1: none
 */
void
virDomainPCITopologySetNode(virDomainPCIAddressSet *addrs,
                            size_t bus,
                            int node)
{
    virDomainPCITopology *topology = virDomainPCITopologyGet(addrs);

    topology->buses[bus].node = node;
    if (node >= 0)
        topology->nodes = true;
}


/**
 * virDomainPCITopologySetBusNr:
 * @addrs: address set
 * @bus: bus of an expander bus
 * @busNr: the number that is chosen for it, -1: none yet
 */
void
virDomainPCITopologySetBusNr(virDomainPCIAddressSet *addrs,
                             size_t bus,
                             int busNr)
{
    virDomainPCITopology *topology = virDomainPCITopologyGet(addrs);

    topology->buses[bus].busNr = busNr;
    if (busNr >= 0)
        topology->numbered = true;
}


/**
 * virDomainPCITopologyGetHost:
 * @addrs: address set
 * @bus: a bus, by the index of the controller that provides it
 *
 * Returns: the bus of the host bridge that leads to @bus, or of the last
 *          controller on the way to it that has its place
 */
size_t
virDomainPCITopologyGetHost(virDomainPCIAddressSet *addrs,
                            size_t bus)
{
    virDomainPCITopology *topology = virDomainPCITopologyGet(addrs);
    size_t steps;

    for (steps = 0; steps < addrs->nbuses; steps++) {
        if (virDomainPCIModelIsHostBridge(addrs->buses[bus].model) ||
            !topology->buses[bus].connected ||
            topology->buses[bus].parent >= addrs->nbuses)
            break;
        bus = topology->buses[bus].parent;
    }

    return bus;
}


/**
 * virDomainPCITopologyGetNode:
 * @addrs: address set
 * @bus: a bus, by the index of the controller that provides it
 *
 * A guest learns the NUMA node of a device from its host bridge (ACPI 6.4,
 * 6.2.15 _PXM; PAPR: "ibm,associativity" of the PHB).
 *
 * Returns: NUMA node of the guest that devices on @bus belong to; -1: none
 */
int
virDomainPCITopologyGetNode(virDomainPCIAddressSet *addrs,
                            size_t bus)
{
    virDomainPCITopology *topology = virDomainPCITopologyGet(addrs);

    if (!topology->nodes)
        return -1;

    return topology->buses[virDomainPCITopologyGetHost(addrs, bus)].node;
}


/**
 * virDomainPCITopologyGetPromised:
 * @addrs: address set
 * @bus: a bus
 *
 * Returns: windows that are enough for any one of its slots that are kept free
 */
const virDomainPCIWindows *
virDomainPCITopologyGetPromised(virDomainPCIAddressSet *addrs,
                                size_t bus)
{
    return &virDomainPCITopologyGet(addrs)->buses[bus].largest;
}


/**
 * virDomainPCITopologySlotIsEmpty:
 * @addrs: address set
 * @addr: address on one of its buses
 *
 * Returns: true if the slot exists, no function of it is in use, and it is not
 *          kept for an address that the user wrote
 */
bool
virDomainPCITopologySlotIsEmpty(virDomainPCIAddressSet *addrs,
                                const virPCIDeviceAddress *addr)
{
    return virDomainPCITopologyGet(addrs)->buses[addr->bus].empty & (1U << addr->slot);
}


/**
 * virDomainPCITopologyPlaced:
 * @addrs: address set
 * @req: what the slot was for
 * @addr: address that was chosen and reserved
 *
 * Remembers where a PCI controller sits. Of other devices it remembers on a
 * dry run that they have no address of their own: a PCI controller that is
 * added later may have a slot that only they are in, because controllers are
 * placed before other devices when addresses are really given. Windows are only asked for by slots
 * that are kept free: what they take others cannot have.
 */
void
virDomainPCITopologyPlaced(virDomainPCIAddressSet *addrs,
                           const virDomainPCISlotRequest *req,
                           const virPCIDeviceAddress *addr)
{
    uint8_t functions = addrs->buses[addr->bus].slot[addr->slot].functions;

    if (req->controller != VIR_DOMAIN_PCI_ENDPOINT)
        virDomainPCITopologyConnect(addrs, req->controller, addr->bus);
    else if (addrs->dryRun && !(req->flags & VIR_PCI_CONNECT_INTEGRATED) &&
             functions == 1 << addr->function)
        addrs->topology->buses[addr->bus].movable |= 1U << addr->slot;

    virDomainPCIFunctionsPlaced(addrs, req, addr);
    virDomainPCIGroupsPlaced(addrs, req, addr);

    if (virDomainPCIWindowsAny(&req->windows)) {
        virDomainPCITopologyBus *topo = &virDomainPCITopologyGet(addrs)->buses[addr->bus];

        virDomainPCIWindowsAdd(&topo->promised, &req->windows);
        virDomainPCIWindowsMax(&topo->largest, &req->windows);
        topo->npromised++;
    }
}


/* Which buses reach a root, given that the controller @without is not there?
 * A controller that has no place yet counts if it could be plugged into some
 * bus that reaches the root. */
static virBitmap *
virDomainPCITopologyReachable(virDomainPCIAddressSet *addrs,
                              int without)
{
    virDomainPCITopology *topology = virDomainPCITopologyGet(addrs);
    virBitmap *reached = virBitmapNew(addrs->nbuses);
    virDomainPCIConnectFlags offered = 0;
    bool changed = true;
    size_t i;

    while (changed) {
        changed = false;

        for (i = 0; i < addrs->nbuses; i++) {
            virDomainPCIAddressBus *bus = &addrs->buses[i];
            virDomainPCITopologyBus *topo = &topology->buses[i];
            virDomainPCIConnectFlags plug = virDomainPCIControllerModelToConnectType(bus->model);

            if ((int)i == without || virBitmapIsBitSet(reached, i))
                continue;

            if (virDomainPCIModelIsRoot(bus->model) ||
                (topo->connected && virBitmapIsBitSet(reached, topo->parent)) ||
                (!topo->connected && (plug & offered & VIR_PCI_CONNECT_TYPES_MASK))) {
                virBitmapSetBitExpand(reached, i);
                if (topo->empty || topo->shared || topo->movable || topo->yielding)
                    offered |= bus->flags;
                changed = true;
            }
        }
    }

    return reached;
}


/**
 * virDomainPCITopologyReaches:
 * @addrs: address set
 * @bus: a bus
 * @without: as for virDomainPCITopologyReachesRoot()
 * @reached: NULL at first; keeps what was found out about all buses for the
 *           next question about the same @without; to be freed by the caller
 *
 * Returns: as virDomainPCITopologyReachesRoot()
 */
bool
virDomainPCITopologyReaches(virDomainPCIAddressSet *addrs,
                            size_t bus,
                            int without,
                            virBitmap **reached)
{
    virDomainPCITopology *topology = virDomainPCITopologyGet(addrs);
    size_t steps;
    size_t b = bus;

    /* Most often all controllers on the way have their places */
    for (steps = 0; steps < addrs->nbuses; steps++) {
        if ((int)b == without)
            return false;
        if (virDomainPCIModelIsRoot(addrs->buses[b].model))
            return true;
        if (!topology->buses[b].connected)
            break;
        b = topology->buses[b].parent;
        if (b >= addrs->nbuses)
            return false;
    }

    if (steps == addrs->nbuses)
        return false; /* running in circles */

    if (!*reached)
        *reached = virDomainPCITopologyReachable(addrs, without);

    return virBitmapIsBitSet(*reached, bus);
}


/**
 * virDomainPCITopologyReachesRoot:
 * @addrs: address set
 * @bus: a bus
 * @without: index of a PCI controller that must not be on the way, or
 *           VIR_DOMAIN_PCI_ENDPOINT
 *
 * A PCI controller may only sit on a bus that would be there without it: QEMU
 * creates devices in the order of its command line, and looks up the parent
 * bus of each.
 *
 * Returns: true if @bus leads to a root bus
 */
bool
virDomainPCITopologyReachesRoot(virDomainPCIAddressSet *addrs,
                                size_t bus,
                                int without)
{
    g_autoptr(virBitmap) reached = NULL;

    return virDomainPCITopologyReaches(addrs, bus, without, &reached);
}


/**
 * virDomainPCITopologyHasRoom:
 * @addrs: address set
 * @bus: a bus
 *
 * Returns: true if a slot of @bus, or a function of one that can be shared, is
 *          free
 */
bool
virDomainPCITopologyHasRoom(virDomainPCIAddressSet *addrs,
                            size_t bus)
{
    return virDomainPCITopologyGet(addrs)->buses[bus].room;
}
