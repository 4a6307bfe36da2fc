/*
 * domain_pci_count.c: how many PCI slots and controllers of a kind there are
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include <config.h>

#include "domain_pci_count.h"
#include "domain_pci_groups.h"


/**
 * virDomainPCICountSlots:
 * @addrs: address set
 * @req: what slots are wanted for; hotplug is not asked of them
 * @census: filled with the numbers of slots that could be given to it
 */
void
virDomainPCICountSlots(virDomainPCIAddressSet *addrs,
                       const virDomainPCISlotRequest *req,
                       virDomainPCICensus *census)
{
    virDomainPCIConnectFlags flags = (req->flags | req->fallback) & ~VIR_PCI_CONNECT_HOTPLUGGABLE;
    size_t i;
    size_t slot;

    memset(census, 0, sizeof(*census));

    for (i = 0; i < addrs->nbuses; i++) {
        const virDomainPCIAddressBus *bus = &addrs->buses[i];

        if ((req->model >= 0 && (int)bus->model != req->model) ||
            !virDomainPCIBusSuits(bus->flags, i, flags, false) ||
            !virDomainPCIGroupsFit(addrs, req, i))
            continue;

        for (slot = bus->minSlot; slot <= bus->maxSlot; slot++) {
            bool used = bus->slot[slot].functions != 0;

            if (bus->flags & VIR_PCI_CONNECT_HOTPLUGGABLE) {
                census->total++;
                census->used += used;
            } else {
                census->unpluggable += !used;
            }
        }
    }
}


/**
 * virDomainPCICountModel:
 * @addrs: address set
 * @model: model of PCI controllers
 *
 * Returns: how many buses are provided by a controller of @model
 */
size_t
virDomainPCICountModel(const virDomainPCIAddressSet *addrs,
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
