/*
 * domain_pci_topology.c: how the PCI buses of a guest hang together
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * An index over virDomainPCIAddressSet: which slot is free on which bus, and
 * on which bus the controller behind each bus sits.
 */

#include <config.h>

#include "domain_pci_topology.h"
#include "viralloc.h"

/* One bit per slot; a slot mask has to hold them all */
G_STATIC_ASSERT(VIR_PCI_ADDRESS_SLOT_LAST == 31);

/* So does the mask of a slot's functions */
G_STATIC_ASSERT(VIR_PCI_ADDRESS_FUNCTION_LAST == 7);

/* The connect types are one bit each, from ..._PCI_DEVICE to ..._PCIE_TO_PCI_BRIDGE */
#define TYPE_FIRST 4
#define TYPE_LAST 13
G_STATIC_ASSERT(VIR_PCI_CONNECT_TYPE_PCI_DEVICE == 1 << TYPE_FIRST);
G_STATIC_ASSERT(VIR_PCI_CONNECT_TYPE_PCIE_TO_PCI_BRIDGE == 1 << TYPE_LAST);
G_STATIC_ASSERT(VIR_PCI_CONNECT_TYPES_MASK ==
                ((1 << (TYPE_LAST + 1)) - (1 << TYPE_FIRST)));

#define ALL_FUNCTIONS 0xff

typedef struct {
    size_t parent;      /* the bus on which this bus' controller sits */
    bool connected;     /* @parent is known */
    uint32_t empty;     /* slots with no function in use */
    uint32_t shared;    /* slots of aggregating devices with a function left */
    uint32_t movable;   /* slots held only by devices that may still move */
    bool room;          /* there are empty or shared slots */
} virDomainPCITopologyBus;

struct _virDomainPCITopology {
    virDomainPCITopologyBus *buses;
    size_t nbuses;

    /* slots that are kept for addresses that the user wrote, by bus; the bus
     * itself may not be there yet */
    uint32_t expected[VIR_DOMAIN_PCI_BUSES_MAX];

    /* for each connect type the buses that offer it and have room for it, and
     * the number of controllers that need it and have no place yet */
    virBitmap *room[TYPE_LAST + 1];
    size_t owed[TYPE_LAST + 1];
};


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
    g_free(topology);
}


/* the slots that exist on @bus, as a mask */
static uint32_t
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

    memset(&topology->buses[idx], 0, sizeof(topology->buses[idx]));

    for (slot = bus->minSlot; slot <= bus->maxSlot; slot++)
        virDomainPCITopologyUpdateSlot(topology, bus, idx, slot);
    virDomainPCITopologyUpdateRoom(topology, bus, idx);
    virDomainPCITopologyOwe(topology, bus, 1);
}


/* The index is made when it is first needed, because the hypervisor driver
 * sets the models of the buses one by one, and it follows when
 * virDomainPCIAddressSetGrow() appends buses. */
static virDomainPCITopology *
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
 * Connects all buses whose controllers have an address in @def already.
 */
void
virDomainPCITopologyConnectAll(virDomainPCIAddressSet *addrs,
                               const virDomainDef *def)
{
    size_t i;

    for (i = 0; i < def->ncontrollers; i++) {
        virDomainControllerDef *cont = def->controllers[i];

        if (cont->type == VIR_DOMAIN_CONTROLLER_TYPE_PCI &&
            virDeviceInfoPCIAddressIsPresent(&cont->info))
            virDomainPCITopologyConnect(addrs, cont->idx, cont->info.addr.pci.bus);
    }
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
 * added later may have their slot, because controllers are placed before other
 * devices when addresses are really given.
 */
void
virDomainPCITopologyPlaced(virDomainPCIAddressSet *addrs,
                           const virDomainPCISlotRequest *req,
                           const virPCIDeviceAddress *addr)
{
    if (req->controller != VIR_DOMAIN_PCI_ENDPOINT)
        virDomainPCITopologyConnect(addrs, req->controller, addr->bus);
    else if (addrs->dryRun && !(req->flags & VIR_PCI_CONNECT_INTEGRATED))
        addrs->topology->buses[addr->bus].movable |= 1U << addr->slot;
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
                if (topo->empty || topo->shared || topo->movable)
                    offered |= bus->flags;
                changed = true;
            }
        }
    }

    return reached;
}


/* As virDomainPCITopologyReachesRoot(); keeps what it has found out about all
 * buses in @reached for the next question about the same @without. */
static bool
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


static bool
virDomainPCITopologyBusIsEmpty(const virDomainPCITopologyBus *topo,
                               const virDomainPCIAddressBus *bus)
{
    return topo->empty == virDomainPCITopologySlots(bus);
}


/* Finds the lowest slot on bus @idx for @req. Functions of a slot are shared
 * only between devices that aggregate. */
static bool
virDomainPCITopologyFindSlotOnBus(virDomainPCIAddressSet *addrs,
                                  size_t idx,
                                  const virDomainPCISlotRequest *req,
                                  virPCIDeviceAddress *addr)
{
    virDomainPCITopologyBus *topo = &virDomainPCITopologyGet(addrs)->buses[idx];
    virDomainPCIAddressBus *bus = &addrs->buses[idx];
    uint32_t slots = topo->empty;

    if (req->flags & VIR_PCI_CONNECT_AGGREGATE_SLOT)
        slots |= topo->shared;

    for (; slots; slots &= slots - 1) {
        unsigned int slot = __builtin_ctz(slots);
        uint8_t functions = bus->slot[slot].functions;
        unsigned int function = req->function == -1 ? 0 : req->function;

        if (functions & (1 << function)) {
            if (req->function != -1)
                continue;
            function = __builtin_ctz(~functions);
        }

        addr->bus = idx;
        addr->slot = slot;
        addr->function = function;
        return true;
    }

    return false;
}


typedef enum {
    ISOLATION_SAME,     /* buses of the isolation group itself */
    ISOLATION_ADOPT,    /* empty buses that can join the group */
    ISOLATION_LAST,
    ISOLATION_ANY = ISOLATION_LAST /* both */
} virDomainPCITopologyIsolation;


static bool
virDomainPCITopologyIsolationFits(const virDomainPCITopologyBus *topo,
                                  const virDomainPCIAddressBus *bus,
                                  unsigned int isolationGroup,
                                  virDomainPCITopologyIsolation how)
{
    bool same = bus->isolationGroup == isolationGroup;
    bool adopts = !bus->isolationGroupLocked && virDomainPCITopologyBusIsEmpty(topo, bus);

    if (how == ISOLATION_ANY)
        return same || adopts;

    return how == ISOLATION_SAME ? same : adopts;
}


/* The next bus from @from on that has room for one of the types in @flags */
static ssize_t
virDomainPCITopologyNextBus(const virDomainPCITopology *topology,
                            virDomainPCIConnectFlags flags,
                            ssize_t from)
{
    ssize_t next = -1;
    size_t type;

    for (type = TYPE_FIRST; type <= TYPE_LAST; type++) {
        ssize_t bus;

        if (!(flags & (1 << type)) ||
            (bus = virBitmapNextSetBit(topology->room[type], from)) < 0)
            continue;

        if (next < 0 || bus < next)
            next = bus;
    }

    return next;
}


/* As virDomainPCITopologyFindSlot(), for the types of slots in @flags only */
static bool
virDomainPCITopologyFindSlotOfType(virDomainPCIAddressSet *addrs,
                                   const virDomainPCISlotRequest *req,
                                   virDomainPCIConnectFlags flags,
                                   virPCIDeviceAddress *addr)
{
    virDomainPCITopology *topology = virDomainPCITopologyGet(addrs);
    virDomainPCIConnectFlags types = virDomainPCIConnectTypes(flags);
    virDomainPCITopologyIsolation how;
    ssize_t b;

    for (how = ISOLATION_SAME; how < ISOLATION_LAST; how++) {
        for (b = virDomainPCITopologyNextBus(topology, types, -1);
             b >= 0;
             b = virDomainPCITopologyNextBus(topology, types, b)) {
            virDomainPCIAddressBus *bus = &addrs->buses[b];

            if ((req->model >= 0 && (int)bus->model != req->model) ||
                !virDomainPCIBusSuits(bus->flags, b, flags, false) ||
                !virDomainPCITopologyIsolationFits(&topology->buses[b], bus,
                                                   req->isolationGroup, how))
                continue;

            if (req->controller != VIR_DOMAIN_PCI_ENDPOINT &&
                !virDomainPCITopologyReachesRoot(addrs, b, req->controller))
                continue;

            if (virDomainPCITopologyFindSlotOnBus(addrs, b, req, addr))
                return true;
        }
    }

    return false;
}


/**
 * virDomainPCITopologyFindSlot:
 * @addrs: address set
 * @req: what the slot is for
 * @addr: filled with the address found
 *
 * Finds the lowest free address that satisfies @req, one of a type that suits
 * best if there is one. Buses of the isolation group of the device come first,
 * then empty buses that may join it. A PCI controller is only offered buses
 * that reach the root without it.
 *
 * Returns: true if an address was found; no error is reported otherwise
 */
bool
virDomainPCITopologyFindSlot(virDomainPCIAddressSet *addrs,
                             const virDomainPCISlotRequest *req,
                             virPCIDeviceAddress *addr)
{
    return virDomainPCITopologyFindSlotOfType(addrs, req, req->flags, addr) ||
        (req->fallback &&
         virDomainPCITopologyFindSlotOfType(addrs, req, req->flags | req->fallback, addr));
}


/* How many devices of a kind that @aggregate can still go into @slots? */
static size_t
virDomainPCITopologyPlaces(const virDomainPCIAddressBus *bus,
                           uint32_t slots,
                           bool aggregate)
{
    size_t places = 0;

    if (!aggregate)
        return __builtin_popcount(slots);

    for (; slots; slots &= slots - 1) {
        places += __builtin_popcount(ALL_FUNCTIONS &
                                     ~bus->slot[__builtin_ctz(slots)].functions);
    }

    return places;
}


/**
 * virDomainPCITopologyCanHold:
 * @addrs: address set
 * @plug: connect type of a PCI controller that might be added
 * @without: index of a PCI controller that must not be on the way to the root
 *           (because this is about adding a parent for it), or
 *           VIR_DOMAIN_PCI_ENDPOINT
 * @displace: count slots whose devices may still move
 *
 * Is there a place left for one more such controller, after all those of its
 * type that have none yet got theirs?
 *
 * Returns: true if there is
 */
bool
virDomainPCITopologyCanHold(virDomainPCIAddressSet *addrs,
                            virDomainPCIConnectFlags plug,
                            int without,
                            bool displace)
{
    virDomainPCITopology *topology = virDomainPCITopologyGet(addrs);
    g_autoptr(virBitmap) reached = NULL;
    bool aggregate = plug & VIR_PCI_CONNECT_AGGREGATE_SLOT;
    size_t type = __builtin_ctz(plug & VIR_PCI_CONNECT_TYPES_MASK);
    size_t owed = topology->owed[type];
    size_t places = 0;
    size_t i;

    /* the one that is to get a parent is not in the way of its parent */
    if (without != VIR_DOMAIN_PCI_ENDPOINT &&
        !topology->buses[without].connected &&
        virDomainPCIControllerModelToConnectType(addrs->buses[without].model) & (1 << type))
        owed--;

    for (i = 0; i < addrs->nbuses && places <= owed; i++) {
        virDomainPCIAddressBus *bus = &addrs->buses[i];
        virDomainPCITopologyBus *topo = &topology->buses[i];
        uint32_t slots = topo->empty |
            (aggregate ? topo->shared : 0) |
            (displace ? topo->movable : 0);
        /* the place found before would do for the controller of this bus */
        bool follows = places > 0 && without == VIR_DOMAIN_PCI_ENDPOINT && !topo->connected &&
            virDomainPCIControllerModelToConnectType(bus->model) & (1 << type);

        if (slots && bus->flags & (1 << type) &&
            virDomainPCITopologyIsolationFits(topo, bus, 0, ISOLATION_ANY) &&
            (follows || virDomainPCITopologyReaches(addrs, i, without, &reached)))
            places += virDomainPCITopologyPlaces(bus, slots, aggregate);
    }

    return places > owed;
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
