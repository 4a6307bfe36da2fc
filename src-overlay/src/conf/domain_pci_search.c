/*
 * domain_pci_search.c: the search for free PCI slots
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Answers from the index over the address set which slot a device can have, and
 * whether there is a place left for one more controller.
 */

#include <config.h>

#include "domain_pci_functions.h"
#include "domain_pci_groups.h"
#include "domain_pci_numbers.h"
#include "domain_pci_topology_index.h"


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


/* Is there address space for one device more that needs what @req asks for?
 * The slots of a bridge share its windows, and what is in use may need as much;
 * the buses of the machine have what the machine has, but no 64-bit window of
 * a certain size. */
static bool
virDomainPCITopologyWindowsSuffice(const virDomainPCITopologyBus *topo,
                                   const virDomainPCIAddressBus *bus,
                                   const virDomainPCISlotRequest *req)
{
    uint32_t used = virDomainPCITopologySlots(bus) & ~topo->empty;

    if (virDomainPCIModelIsRoot(bus->model))
        return req->windows.kib[VIR_DOMAIN_PCI_WINDOW_PREF64] == 0;

    return virDomainPCIWindowsHold(&topo->windows, &topo->promised, &req->windows,
                                   __builtin_popcount(used) - topo->npromised + 1);
}


/* Is bus @b near the memory that @req asks for, and if it is for a controller
 * that minds, is there a number for the bus of that? */
static bool
virDomainPCITopologyHostFits(virDomainPCIAddressSet *addrs,
                             const virDomainPCISlotRequest *req,
                             size_t b)
{
    return (req->node < 0 || virDomainPCITopologyGetNode(addrs, b) == req->node) &&
        (!req->numbered || virDomainPCINumbersAreLeft(addrs, b));
}


/* Is a slot of bus @a a better choice for @req than one of @b? Slots near the
 * memory of a node are left to those that ask for it. */
static bool
virDomainPCITopologyIsThriftier(virDomainPCIAddressSet *addrs,
                                const virDomainPCISlotRequest *req,
                                size_t a,
                                size_t b)
{
    bool root = virDomainPCIModelIsRoot(addrs->buses[b].model);
    bool nodeA = virDomainPCITopologyGetNode(addrs, a) >= 0;
    bool nodeB = virDomainPCITopologyGetNode(addrs, b) >= 0;

    if (nodeA != nodeB)
        return nodeB;

    return !root && virDomainPCIWindowsCompare(virDomainPCITopologyGetWindows(addrs, a),
                                               virDomainPCITopologyGetWindows(addrs, b),
                                               req->io) < 0;
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
    bool found = false;
    ssize_t b;

    for (how = ISOLATION_SAME; how < ISOLATION_LAST && !found; how++) {
        for (b = virDomainPCITopologyNextBus(topology, types, -1);
             b >= 0;
             b = virDomainPCITopologyNextBus(topology, types, b)) {
            virDomainPCIAddressBus *bus = &addrs->buses[b];

            if ((req->model >= 0 && (int)bus->model != req->model) ||
                !virDomainPCIBusSuits(bus->flags, b, flags, false) ||
                !virDomainPCITopologyIsolationFits(&topology->buses[b], bus,
                                                   req->isolationGroup, how) ||
                !virDomainPCITopologyWindowsSuffice(&topology->buses[b], bus, req) ||
                !virDomainPCITopologyHostFits(addrs, req, b) ||
                !virDomainPCIGroupsFit(addrs, req, b))
                continue;

            if (req->spared && virBitmapIsBitSet(req->spared, b))
                continue;

            if (found && !virDomainPCITopologyIsThriftier(addrs, req, b, addr->bus))
                continue;

            if (req->controller != VIR_DOMAIN_PCI_ENDPOINT &&
                !virDomainPCITopologyReachesRoot(addrs, b, req->controller))
                continue;

            if (!virDomainPCITopologyFindSlotOnBus(addrs, b, req, addr))
                continue;

            if (!req->thrifty || !(topology->windows || topology->nodes))
                return true;
            found = true;
        }
    }

    return found;
}


/**
 * virDomainPCITopologyFindSlot:
 * @addrs: address set
 * @req: what the slot is for
 * @addr: filled with the address found
 *
 * Finds the lowest free address that satisfies @req, one of a type that suits
 * best if there is one, and if @req is thrifty one with the smallest windows.
 * Buses of the isolation group of the device come first, then empty buses that
 * may join it. A PCI controller is only offered buses that reach the root
 * without it. Where no slot is left, a device that can share one does, and
 * what belongs into the slot of a group has no choice.
 *
 * Returns: true if an address was found; no error is reported otherwise
 */
bool
virDomainPCITopologyFindSlot(virDomainPCIAddressSet *addrs,
                             const virDomainPCISlotRequest *req,
                             virPCIDeviceAddress *addr)
{
    if (virDomainPCIGroupsHaveSlot(addrs, req))
        return virDomainPCIGroupsFindFunction(addrs, req, addr);

    return virDomainPCITopologyFindSlotOfType(addrs, req, req->flags, addr) ||
        (req->fallback &&
         virDomainPCITopologyFindSlotOfType(addrs, req, req->flags | req->fallback, addr)) ||
        virDomainPCIFunctionsFind(addrs, req, addr);
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


/* How many controllers that plug into @type of slots wait for a place that
 * could be the one of @req? Those that have to be below a host bridge of a NUMA
 * node, or in a group, do so there. The one that is to get a parent is not in
 * the way of its parent. */
static size_t
virDomainPCITopologyOwed(virDomainPCIAddressSet *addrs,
                         size_t type,
                         const virDomainPCISlotRequest *req)
{
    virDomainPCITopology *topology = virDomainPCITopologyGet(addrs);
    const char *group = virDomainPCIGroupsWanted(addrs, req);
    size_t owed = 0;
    size_t i;

    if (!topology->nodes && !topology->grouped && req->controller == VIR_DOMAIN_PCI_ENDPOINT)
        return topology->owed[type];

    for (i = 0; i < addrs->nbuses; i++) {
        virDomainControllerModelPCI model = addrs->buses[i].model;
        int below = virDomainPCIModelIsHostBridge(model) ? -1 : topology->buses[i].node;
        virDomainPCISlotRequest other = { 0 };

        virDomainPCIGroupsInitController(&other, addrs, i);

        if (!topology->buses[i].connected && (int)i != req->controller &&
            below == req->node && other.group == group &&
            addrs->buses[i].flags &&
            virDomainPCIControllerModelToConnectType(model) & (1 << type))
            owed++;
    }

    return owed;
}


/**
 * virDomainPCITopologyCanHold:
 * @addrs: address set
 * @plug: connect type of a PCI controller that might be added
 * @req: where it has to be: the NUMA node and the group; and the PCI controller
 *       that must not be on the way to the root (because this is about adding
 *       a parent for it), or VIR_DOMAIN_PCI_ENDPOINT
 * @displace: slots of devices that count too
 *
 * Is there a place left for one more such controller, after all those of its
 * type that have none yet got theirs?
 *
 * Returns: true if there is
 */
bool
virDomainPCITopologyCanHold(virDomainPCIAddressSet *addrs,
                            virDomainPCIConnectFlags plug,
                            const virDomainPCISlotRequest *req,
                            virDomainPCIDisplace displace)
{
    virDomainPCITopology *topology = virDomainPCITopologyGet(addrs);
    g_autoptr(virBitmap) reached = NULL;
    bool aggregate = plug & VIR_PCI_CONNECT_AGGREGATE_SLOT;
    size_t type = __builtin_ctz(plug & VIR_PCI_CONNECT_TYPES_MASK);
    size_t owed = virDomainPCITopologyOwed(addrs, type, req);
    size_t places = 0;
    size_t i;

    for (i = 0; i < addrs->nbuses && places <= owed; i++) {
        virDomainPCIAddressBus *bus = &addrs->buses[i];
        virDomainPCITopologyBus *topo = &topology->buses[i];
        uint32_t slots = topo->empty |
            (aggregate ? topo->shared : 0) |
            (displace & VIR_DOMAIN_PCI_DISPLACE_MOVABLE ? topo->movable : 0) |
            (displace & VIR_DOMAIN_PCI_DISPLACE_YIELDING ? topo->yielding : 0);
        /* the place found before would do for the controller of this bus */
        bool follows = places > 0 && req->controller == VIR_DOMAIN_PCI_ENDPOINT &&
            !topo->connected &&
            virDomainPCIControllerModelToConnectType(bus->model) & (1 << type);

        if (slots && bus->flags & (1 << type) &&
            (req->node < 0 || virDomainPCITopologyGetNode(addrs, i) == req->node) &&
            virDomainPCIGroupsFit(addrs, req, i) &&
            virDomainPCINumbersAreLeft(addrs, i) &&
            virDomainPCITopologyIsolationFits(topo, bus, 0, ISOLATION_ANY) &&
            (follows || virDomainPCITopologyReaches(addrs, i, req->controller, &reached)))
            places += virDomainPCITopologyPlaces(bus, slots, aggregate);
    }

    return places > owed;
}
