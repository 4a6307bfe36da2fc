/*
 * domain_pci_census.c: which slots of a guest are free
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Nothing is counted here by rules of its own: a slot is free if the search
 * that gives devices their slots finds it.
 */

#include <config.h>

#include "domain_pci_census.h"

#define VIR_FROM_THIS VIR_FROM_DOMAIN


/**
 * virDomainPCICensusEmpty:
 * @bus: a bus of an address set
 *
 * Returns: the slots in which nothing is plugged, as a mask, whether or not
 *          anything can be
 */
uint32_t
virDomainPCICensusEmpty(const virDomainPCIAddressBus *bus)
{
    uint32_t empty = 0;
    size_t slot;

    for (slot = bus->minSlot; slot <= bus->maxSlot; slot++) {
        if (bus->slot[slot].functions == 0)
            empty |= 1U << slot;
    }

    return empty;
}


/**
 * virDomainPCICensusTake:
 * @addrs: address set of a definition in which all devices have their places;
 *         the slots that are found are reserved in it
 * @type: connect type of the slots: VIR_PCI_CONNECT_TYPE_PCIE_DEVICE or
 *        VIR_PCI_CONNECT_TYPE_PCI_DEVICE
 * @found: filled with the free slots that are hotpluggable
 *
 * Asks for slots as a promise does (virDomainPCIPlanReserveFree()), until
 * there are no more. What cannot be reached from the root does not count: the
 * guest could not be started with it.
 *
 * Returns: 0 on success, -1 with an error reported
 */
int
virDomainPCICensusTake(virDomainPCIAddressSet *addrs,
                       virDomainPCIConnectFlags type,
                       virDomainPCIFreeSlots *found)
{
    virDomainPCISlotRequest req;
    virPCIDeviceAddress addr = { 0 };

    virDomainPCISlotRequestInitFree(&req, type | VIR_PCI_CONNECT_HOTPLUGGABLE);
    memset(found, 0, sizeof(*found));

    while (virDomainPCITopologyFindSlot(addrs, &req, &addr)) {
        if (virDomainPCIAddressReserveAddr(addrs, &addr, req.flags, 0) < 0)
            return -1;

        if (addr.bus >= VIR_DOMAIN_PCI_BUSES_MAX ||
            !virDomainPCITopologyReachesRoot(addrs, addr.bus, VIR_DOMAIN_PCI_ENDPOINT))
            continue;

        found->slots[addr.bus] |= 1U << addr.slot;
        found->count++;
    }

    return 0;
}
