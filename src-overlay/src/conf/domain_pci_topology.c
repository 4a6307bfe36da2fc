/*
 * domain_pci_topology.c: how the PCI buses of a guest hang together
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * An index over virDomainPCIAddressSet: which slot is free on which bus, and
 * on which bus the controller behind each bus sits. What a controller model
 * plugs into and what it offers is not written down here a second time: it is
 * asked of virDomainPCIControllerModelToConnectType() and
 * virDomainPCIAddressBusSetModel().
 */

#include <config.h>

#include "domain_pci_topology.h"
#include "viralloc.h"
#include "virerror.h"
#include "virlog.h"

#define VIR_FROM_THIS VIR_FROM_DOMAIN

VIR_LOG_INIT("conf.domain_pci_topology");

/* A model that is added upstream must be sorted into the policy rows of the
 * hypervisor drivers before this may be raised. */
G_STATIC_ASSERT(VIR_DOMAIN_CONTROLLER_MODEL_PCI_LAST == 10);

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
    virDomainDef *def; /* on a dry run: the definition, to name its devices */

    virDomainPCITopologyBus *buses;
    size_t nbuses;

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
virDomainPCITopologyUpdateSlot(virDomainPCITopologyBus *topo,
                               const virDomainPCIAddressBus *bus,
                               size_t slot)
{
    uint32_t bit = 1U << slot;
    uint8_t functions = bus->slot[slot].functions;

    topo->empty &= ~bit;
    topo->shared &= ~bit;

    if (functions == 0) {
        topo->empty |= bit;
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


/* The index is made when it is first needed, because the hypervisor driver
 * sets the models of the buses one by one, and it follows when
 * virDomainPCIAddressSetGrow() appends buses. */
static virDomainPCITopology *
virDomainPCITopologyGet(virDomainPCIAddressSet *addrs)
{
    virDomainPCITopology *topology = addrs->topology;
    size_t type;

    if (!topology) {
        topology = addrs->topology = g_new0(virDomainPCITopology, 1);
        for (type = TYPE_FIRST; type <= TYPE_LAST; type++)
            topology->room[type] = virBitmapNew(0);
    }

    if (topology->nbuses < addrs->nbuses) {
        size_t i = topology->nbuses;

        VIR_EXPAND_N(topology->buses, topology->nbuses,
                     addrs->nbuses - topology->nbuses);

        for (; i < addrs->nbuses; i++) {
            virDomainPCIAddressBus *bus = &addrs->buses[i];
            size_t slot;

            for (slot = bus->minSlot; slot <= bus->maxSlot; slot++)
                virDomainPCITopologyUpdateSlot(&topology->buses[i], bus, slot);
            virDomainPCITopologyUpdateRoom(topology, bus, i);
            virDomainPCITopologyOwe(topology, bus, 1);
        }
    }

    return topology;
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

    virDomainPCITopologyUpdateSlot(&topology->buses[addr->bus], bus, addr->slot);
    virDomainPCITopologyUpdateRoom(topology, bus, addr->bus);
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
                               virDomainDef *def)
{
    size_t i;

    if (addrs->dryRun)
        virDomainPCITopologyGet(addrs)->def = def;

    for (i = 0; i < def->ncontrollers; i++) {
        virDomainControllerDef *cont = def->controllers[i];

        if (cont->type == VIR_DOMAIN_CONTROLLER_TYPE_PCI &&
            virDeviceInfoPCIAddressIsPresent(&cont->info))
            virDomainPCITopologyConnect(addrs, cont->idx, cont->info.addr.pci.bus);
    }
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


/* A root is part of the machine or, as the PHBs of pseries, plugs into nothing */
static bool
virDomainPCITopologyModelIsRoot(virDomainControllerModelPCI model)
{
    return !virDomainPCIControllerModelToConnectType(model);
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

            if (virDomainPCITopologyModelIsRoot(bus->model) ||
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
        if (virDomainPCITopologyModelIsRoot(addrs->buses[b].model))
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


/* The types of slots that will do: what is part of the chipset may be
 * conventional on pcie-root as well. (9.0.0's rule does not say so, for it has
 * no such device.) */
static virDomainPCIConnectFlags
virDomainPCITopologyWiden(virDomainPCIConnectFlags flags)
{
    if (flags & VIR_PCI_CONNECT_INTEGRATED &&
        flags & VIR_PCI_CONNECT_TYPE_PCI_DEVICE)
        flags |= VIR_PCI_CONNECT_TYPE_PCIE_DEVICE;

    return flags;
}


/* Does @bus take what is asked for? The rules are those for addresses that
 * libvirt chooses, see virDomainPCIAddressFlagsCompatible(). */
static bool
virDomainPCITopologyBusTakes(const virDomainPCIAddressBus *bus,
                             size_t idx,
                             virDomainPCIConnectFlags flags)
{
    virDomainPCIConnectFlags busFlags = bus->flags;

    if (flags & VIR_PCI_CONNECT_INTEGRATED) {
        if (idx != 0)
            return false;
        busFlags |= VIR_PCI_CONNECT_AUTOASSIGN;
    }

    if (flags & ~busFlags & (VIR_PCI_CONNECT_AUTOASSIGN |
                             VIR_PCI_CONNECT_HOTPLUGGABLE))
        return false;

    return virDomainPCITopologyWiden(flags) & busFlags & VIR_PCI_CONNECT_TYPES_MASK;
}


/**
 * virDomainPCITopologyAccepts:
 * @addrs: address set
 * @addr: an address
 * @flags: connect flags of the device that is to have it
 * @fromConfig: the user wrote the address
 *
 * Says quickly, and without a word, what is plainly all right. In case of
 * doubt virDomainPCIAddressValidate() has to be asked.
 *
 * Returns: true if the bus of @addr is there and takes the device
 */
bool
virDomainPCITopologyAccepts(virDomainPCIAddressSet *addrs,
                            const virPCIDeviceAddress *addr,
                            virDomainPCIConnectFlags flags,
                            bool fromConfig)
{
    virDomainPCIAddressBus *bus;

    if (addr->domain != 0 || addr->bus >= addrs->nbuses ||
        addr->function > VIR_PCI_ADDRESS_FUNCTION_LAST)
        return false;

    bus = &addrs->buses[addr->bus];

    /* the user may put devices on buses that libvirt would not choose */
    if (fromConfig)
        flags &= ~VIR_PCI_CONNECT_AUTOASSIGN;

    return addr->slot >= bus->minSlot && addr->slot <= bus->maxSlot &&
        virDomainPCITopologyBusTakes(bus, addr->bus, flags);
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
    ISOLATION_LAST
} virDomainPCITopologyIsolation;


static bool
virDomainPCITopologyIsolationFits(const virDomainPCITopologyBus *topo,
                                  const virDomainPCIAddressBus *bus,
                                  unsigned int isolationGroup,
                                  virDomainPCITopologyIsolation how)
{
    if (how == ISOLATION_SAME)
        return bus->isolationGroup == isolationGroup;

    return !bus->isolationGroupLocked &&
        virDomainPCITopologyBusIsEmpty(topo, bus);
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


/**
 * virDomainPCITopologyFindSlot:
 * @addrs: address set
 * @req: what the slot is for
 * @addr: filled with the address found
 *
 * Finds the lowest free address that satisfies @req. Buses of the isolation
 * group of the device come first, then empty buses that may join it. A PCI
 * controller is only offered buses that reach the root without it.
 *
 * Returns: true if an address was found; no error is reported otherwise
 */
bool
virDomainPCITopologyFindSlot(virDomainPCIAddressSet *addrs,
                             const virDomainPCISlotRequest *req,
                             virPCIDeviceAddress *addr)
{
    virDomainPCITopology *topology = virDomainPCITopologyGet(addrs);
    virDomainPCIConnectFlags flags = virDomainPCITopologyWiden(req->flags);
    virDomainPCITopologyIsolation how;
    ssize_t b;

    for (how = ISOLATION_SAME; how < ISOLATION_LAST; how++) {
        for (b = virDomainPCITopologyNextBus(topology, flags, -1);
             b >= 0;
             b = virDomainPCITopologyNextBus(topology, flags, b)) {
            virDomainPCIAddressBus *bus = &addrs->buses[b];

            if (req->info && req->info->pciHints.hasConnection &&
                (int)bus->model != req->info->pciHints.connection)
                continue;

            if (!virDomainPCITopologyBusTakes(bus, b, req->flags) ||
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
 * virDomainPCITopologyIsSettled:
 * @addrs: address set
 *
 * Returns: true if all PCI controllers have their places
 */
bool
virDomainPCITopologyIsSettled(virDomainPCIAddressSet *addrs)
{
    virDomainPCITopology *topology = virDomainPCITopologyGet(addrs);
    size_t i;

    for (i = 0; i < addrs->nbuses; i++) {
        if (!topology->buses[i].connected &&
            !virDomainPCITopologyModelIsRoot(addrs->buses[i].model))
            return false;
    }

    return true;
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

        if (slots && bus->flags & (1 << type) &&
            virDomainPCITopologyReaches(addrs, i, without, &reached))
            places += virDomainPCITopologyPlaces(bus, slots, aggregate);
    }

    return places > owed;
}


/**
 * virDomainPCITopologyCount:
 * @addrs: address set
 * @type: connect type
 * @census: filled with the numbers of slots that libvirt gives to devices of
 *          @type
 */
void
virDomainPCITopologyCount(virDomainPCIAddressSet *addrs,
                          virDomainPCIConnectFlags type,
                          virDomainPCICensus *census)
{
    virDomainPCITopology *topology = virDomainPCITopologyGet(addrs);
    size_t i;

    memset(census, 0, sizeof(*census));

    for (i = 0; i < addrs->nbuses; i++) {
        virDomainPCIAddressBus *bus = &addrs->buses[i];
        size_t empty = __builtin_popcount(topology->buses[i].empty);

        if (!virDomainPCITopologyBusTakes(bus, i, type | VIR_PCI_CONNECT_AUTOASSIGN))
            continue;

        if (bus->flags & VIR_PCI_CONNECT_HOTPLUGGABLE) {
            size_t slots = bus->maxSlot - bus->minSlot + 1;

            census->total += slots;
            census->used += slots - empty;
        } else {
            census->unpluggable += empty;
        }
    }
}


/**
 * virDomainPCITopologyCountModel:
 * @addrs: address set
 * @model: model of PCI controllers
 *
 * Returns: how many buses are provided by a controller of @model
 */
size_t
virDomainPCITopologyCountModel(virDomainPCIAddressSet *addrs,
                               virDomainControllerModelPCI model)
{
    size_t count = 0;
    size_t i;

    for (i = 0; i < addrs->nbuses; i++) {
        if (addrs->buses[i].flags && addrs->buses[i].model == model)
            count++;
    }

    return count;
}


/**
 * virDomainPCIDeviceName:
 * @dev: a device, which may have no alias yet
 *
 * Returns: what a person would call it, to be freed by the caller
 */
char *
virDomainPCIDeviceName(const virDomainDeviceDef *dev)
{
    const char *type = virDomainDeviceTypeToString(dev->type);
    char mac[VIR_MAC_STRING_BUFLEN];

    switch (dev->type) {
    case VIR_DOMAIN_DEVICE_DISK:
        return g_strdup_printf("%s '%s'", type, dev->data.disk->dst);

    case VIR_DOMAIN_DEVICE_NET:
        return g_strdup_printf("interface '%s'",
                               virMacAddrFormat(&dev->data.net->mac, mac));

    case VIR_DOMAIN_DEVICE_CONTROLLER:
        return g_strdup_printf("%s type='%s' index='%d'", type,
                               virDomainControllerTypeToString(dev->data.controller->type),
                               dev->data.controller->idx);

    default:
        return g_strdup(type);
    }
}


typedef struct {
    const virDomainDeviceInfo *info;
    char *name;
} virDomainPCITopologyNamed;


static int
virDomainPCITopologyDeviceNameIter(virDomainDef *def G_GNUC_UNUSED,
                                   virDomainDeviceDef *dev,
                                   virDomainDeviceInfo *info,
                                   void *opaque)
{
    virDomainPCITopologyNamed *named = opaque;

    if (info != named->info)
        return 0;

    named->name = virDomainPCIDeviceName(dev);
    return -1; /* found, no error */
}


/**
 * virDomainPCITopologyDeviceName:
 * @addrs: address set, on a dry run
 * @info: info of a device of the definition, or NULL
 *
 * Returns: what a person would call the device, to be freed by the caller
 */
char *
virDomainPCITopologyDeviceName(virDomainPCIAddressSet *addrs,
                               const virDomainDeviceInfo *info)
{
    virDomainPCITopologyNamed named = { .info = info };

    if (info && addrs->topology && addrs->topology->def) {
        ignore_value(virDomainDeviceInfoIterate(addrs->topology->def,
                                                virDomainPCITopologyDeviceNameIter,
                                                &named));
    }

    return named.name ? named.name : g_strdup(_("a device"));
}


/**
 * virDomainPCITopologyHasUnplaced:
 * @addrs: address set
 * @model: model of PCI controllers
 * @except: index of one that does not count
 *
 * Returns: true if a controller of @model that has room waits for a place. One
 *          for which there is a place already waits for nothing.
 */
bool
virDomainPCITopologyHasUnplaced(virDomainPCIAddressSet *addrs,
                                virDomainControllerModelPCI model,
                                int except)
{
    virDomainPCITopology *topology = virDomainPCITopologyGet(addrs);
    virPCIDeviceAddress addr = { 0 };
    size_t i;

    for (i = 0; i < addrs->nbuses; i++) {
        virDomainPCISlotRequest req = {
            .flags = virDomainPCIControllerModelToConnectType(model),
            .function = -1,
            .controller = i,
        };

        if ((int)i != except && addrs->buses[i].model == model &&
            !topology->buses[i].connected && topology->buses[i].room &&
            !virDomainPCITopologyFindSlot(addrs, &req, &addr))
            return true;
    }

    return false;
}


/**
 * virDomainPCITopologyModelOffers:
 * @model: model of a PCI controller
 * @flags: what a device needs
 *
 * Returns: true if a new controller of @model has a slot for the device
 */
bool
virDomainPCITopologyModelOffers(virDomainControllerModelPCI model,
                                virDomainPCIConnectFlags flags)
{
    virDomainPCIAddressBus bus = { 0 };

    return virDomainPCIAddressBusSetModel(&bus, model, true) == 0 &&
        virDomainPCITopologyBusTakes(&bus, VIR_DOMAIN_PCI_BUSES_MAX, flags);
}


/**
 * virDomainPCITopologyModelMultiplies:
 * @model: model of a PCI controller
 *
 * Returns: true if a controller of @model opens more slots than it takes, so
 *          that a device that must give way to it finds another place
 */
bool
virDomainPCITopologyModelMultiplies(virDomainControllerModelPCI model)
{
    virDomainPCIAddressBus bus = { 0 };

    return virDomainPCIAddressBusSetModel(&bus, model, true) == 0 &&
        bus.maxSlot > bus.minSlot;
}


/* The slots that have more than one function, one mask per bus of domain 0 */
typedef struct {
    uint32_t slots[VIR_DOMAIN_PCI_BUSES_MAX];
} virDomainPCIMultifunction;


static bool
virDomainPCITopologyIsOnBus(const virDomainDeviceInfo *info)
{
    return info && info->type == VIR_DOMAIN_DEVICE_ADDRESS_TYPE_PCI &&
        info->addr.pci.domain == 0 &&
        info->addr.pci.bus < VIR_DOMAIN_PCI_BUSES_MAX &&
        info->addr.pci.slot <= VIR_PCI_ADDRESS_SLOT_LAST;
}


static int
virDomainPCITopologyCollectMulti(virDomainDef *def G_GNUC_UNUSED,
                                 virDomainDeviceDef *dev G_GNUC_UNUSED,
                                 virDomainDeviceInfo *info,
                                 void *opaque)
{
    virDomainPCIMultifunction *multi = opaque;

    if (virDomainPCITopologyIsOnBus(info) && info->addr.pci.function != 0)
        multi->slots[info->addr.pci.bus] |= 1U << info->addr.pci.slot;

    return 0;
}


static int
virDomainPCITopologyMarkMulti(virDomainDef *def G_GNUC_UNUSED,
                              virDomainDeviceDef *dev G_GNUC_UNUSED,
                              virDomainDeviceInfo *info,
                              void *opaque)
{
    virDomainPCIMultifunction *multi = opaque;
    uint32_t *slots;

    if (!virDomainPCITopologyIsOnBus(info) || info->addr.pci.function != 0)
        return 0;

    slots = &multi->slots[info->addr.pci.bus];

    if (!(*slots & (1U << info->addr.pci.slot)))
        return 0;

    /* the first device of the slot counts, and what the user says */
    *slots &= ~(1U << info->addr.pci.slot);
    if (info->addr.pci.multi == VIR_TRISTATE_SWITCH_ABSENT)
        info->addr.pci.multi = VIR_TRISTATE_SWITCH_ON;

    return 0;
}


/**
 * virDomainPCITopologySetAllMulti:
 * @def: domain definition whose devices have their addresses
 *
 * Sets multifunction for the device at function 0 of each slot of which other
 * functions are in use too, unless the user has set it off.
 */
void
virDomainPCITopologySetAllMulti(virDomainDef *def)
{
    g_autofree virDomainPCIMultifunction *multi = g_new0(virDomainPCIMultifunction, 1);

    ignore_value(virDomainDeviceInfoIterate(def, virDomainPCITopologyCollectMulti, multi));
    ignore_value(virDomainDeviceInfoIterate(def, virDomainPCITopologyMarkMulti, multi));
}


/**
 * virDomainPCITopologyControllerIndexes:
 * @def: domain definition
 *
 * Returns: the indexes of its PCI controllers, to be freed by the caller
 */
virBitmap *
virDomainPCITopologyControllerIndexes(const virDomainDef *def)
{
    virBitmap *indexes = virBitmapNew(0);
    size_t i;

    for (i = 0; i < def->ncontrollers; i++) {
        if (def->controllers[i]->type == VIR_DOMAIN_CONTROLLER_TYPE_PCI)
            virBitmapSetBitExpand(indexes, def->controllers[i]->idx);
    }

    return indexes;
}


/* Is the bus that @cont plugs into provided by a controller in @placed? */
static bool
virDomainPCITopologyParentPlaced(const virDomainControllerDef *cont,
                                 virBitmap *placed)
{
    return !virDeviceInfoPCIAddressIsPresent(&cont->info) ||
        virDomainPCITopologyModelIsRoot(cont->model) ||
        virBitmapIsBitSet(placed, cont->info.addr.pci.bus);
}


/* Fills @order with the controllers of @def, each PCI controller after the one
 * it plugs into; those that cannot be brought into that order come last.
 * Returns how many could. */
static size_t
virDomainPCITopologySort(const virDomainDef *def,
                         virDomainControllerDef **order)
{
    g_autoptr(virBitmap) placed = virBitmapNew(0);
    g_autoptr(virBitmap) done = virBitmapNew(def->ncontrollers);
    bool changed = true;
    size_t sorted;
    size_t n = 0;
    size_t i;

    /* Root buses come with the machine */
    for (i = 0; i < def->ncontrollers; i++) {
        virDomainControllerDef *cont = def->controllers[i];

        if (cont->type == VIR_DOMAIN_CONTROLLER_TYPE_PCI &&
            virDomainPCITopologyModelIsRoot(cont->model))
            virBitmapSetBitExpand(placed, cont->idx);
    }

    while (changed) {
        changed = false;

        for (i = 0; i < def->ncontrollers; i++) {
            virDomainControllerDef *cont = def->controllers[i];

            if (virBitmapIsBitSet(done, i))
                continue;

            if (cont->type == VIR_DOMAIN_CONTROLLER_TYPE_PCI) {
                if (!virDomainPCITopologyParentPlaced(cont, placed))
                    continue;
                virBitmapSetBitExpand(placed, cont->idx);
            }

            virBitmapSetBitExpand(done, i);
            order[n++] = cont;
            changed = true;
        }
    }

    sorted = n;
    for (i = 0; i < def->ncontrollers; i++) {
        if (!virBitmapIsBitSet(done, i))
            order[n++] = def->controllers[i];
    }

    return sorted;
}


/**
 * virDomainPCITopologyOrderControllers:
 * @def: domain definition
 *
 * QEMU looks up the bus of each device when it creates it, so a PCI controller
 * has to follow the one it plugs into. Otherwise the order of @def is kept.
 *
 * Returns: an array with all def->ncontrollers controllers, to be freed by the
 *          caller with g_free(); the controllers belong to @def
 */
virDomainControllerDef **
virDomainPCITopologyOrderControllers(const virDomainDef *def)
{
    virDomainControllerDef **order = g_new0(virDomainControllerDef *,
                                            def->ncontrollers + 1);

    virDomainPCITopologySort(def, order);
    return order;
}


/**
 * virDomainPCITopologyCheckControllers:
 * @def: domain definition whose PCI controllers have their addresses
 *
 * Refuses controllers that are plugged, directly or through others, into
 * themselves: no guest can be started with them.
 *
 * Returns: 0 on success, -1 with VIR_ERR_CONFIG_UNSUPPORTED reported
 */
int
virDomainPCITopologyCheckControllers(const virDomainDef *def)
{
    g_autofree virDomainControllerDef **order = NULL;
    virDomainControllerDef *cont;
    size_t n;

    order = g_new0(virDomainControllerDef *, def->ncontrollers + 1);

    if ((n = virDomainPCITopologySort(def, order)) == def->ncontrollers)
        return 0;

    cont = order[n];
    virReportError(VIR_ERR_CONFIG_UNSUPPORTED,
                   _("PCI controller with index='%1$d' and model='%2$s' is plugged into bus='0x%3$02x', which does not lead to the root bus without it"),
                   cont->idx,
                   virDomainControllerModelPCITypeToString(cont->model),
                   cont->info.addr.pci.bus);
    return -1;
}


/**
 * virDomainPCITopologyUnusedIndex:
 * @def: domain definition
 * @cont: controller of @def that was listed without an index
 *
 * Index 0 is the root of the machine, whether or not it is listed; other PCI
 * controllers are numbered from 1.
 *
 * Returns: the lowest index that @cont can take
 */
int
virDomainPCITopologyUnusedIndex(const virDomainDef *def,
                                const virDomainControllerDef *cont)
{
    int idx = 1;

    if (cont->type != VIR_DOMAIN_CONTROLLER_TYPE_PCI ||
        virDomainPCITopologyModelIsRoot(cont->model))
        return virDomainControllerFindUnusedIndex(def, cont->type);

    while (virDomainControllerFind(def, cont->type, idx) >= 0)
        idx++;

    return idx;
}
