/*
 * domain_pci_functions.c: devices that share a slot
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Devices that need not be hotpluggable have a slot of the root bus each, and
 * once these are used up a function of a slot that such a device has already.
 * Nothing else is put there: QEMU removes all functions of a slot when it
 * removes one.
 */

#include <config.h>

#include "domain_pci_functions.h"
#include "domain_pci_topology_index.h"
#include "virerror.h"

#define VIR_FROM_THIS VIR_FROM_DOMAIN

/* The slots of the root bus, as masks */
typedef struct {
    uint32_t others;    /* some function is of a device that may not */
    uint32_t sharing;   /* some function is of a device that may */
    uint32_t function0; /* function 0 is in use */
} virDomainPCIFunctions;


static bool
virDomainPCIFunctionsIsOnRoot(const virDomainDeviceInfo *info)
{
    return virDeviceInfoPCIAddressIsPresent(info) &&
        info->addr.pci.domain == 0 &&
        info->addr.pci.bus == 0 &&
        info->addr.pci.slot <= VIR_PCI_ADDRESS_SLOT_LAST;
}


static int
virDomainPCIFunctionsCollectIter(virDomainDef *def G_GNUC_UNUSED,
                                 virDomainDeviceDef *dev G_GNUC_UNUSED,
                                 virDomainDeviceInfo *info,
                                 void *opaque)
{
    virDomainPCIFunctions *found = opaque;
    uint32_t bit;

    if (!virDomainPCIFunctionsIsOnRoot(info))
        return 0;

    bit = 1U << info->addr.pci.slot;

    if (info->addr.pci.function == 0)
        found->function0 |= bit;

    if (!(info->pciConnectFlags & VIR_PCI_CONNECT_SHARE_SLOT) ||
        info->addr.pci.multi == VIR_TRISTATE_SWITCH_OFF)
        found->others |= bit;
    else
        found->sharing |= bit;

    return 0;
}


/**
 * virDomainPCIFunctionsCollect:
 * @addrs: address set for @def
 * @def: domain definition with the connect flags of all devices
 *
 * Finds out which slots can be shared of those that have been given to devices
 * of @def before.
 */
void
virDomainPCIFunctionsCollect(virDomainPCIAddressSet *addrs,
                             virDomainDef *def)
{
    virDomainPCIFunctions found = { 0 };

    if (addrs->nbuses == 0)
        return;

    ignore_value(virDomainDeviceInfoIterate(def, virDomainPCIFunctionsCollectIter, &found));
    virDomainPCITopologyGet(addrs)->buses[0].joinable = found.sharing & found.function0 & ~found.others;
}


/**
 * virDomainPCIFunctionsPlaced:
 * @addrs: address set
 * @req: what the slot was for
 * @addr: address that was chosen and reserved
 *
 * Remembers whether the slot can be shared. On a dry run a PCI controller that
 * is added later may have the slots of devices that can share, but for the
 * first: there has to be one to share.
 */
void
virDomainPCIFunctionsPlaced(virDomainPCIAddressSet *addrs,
                            const virDomainPCISlotRequest *req,
                            const virPCIDeviceAddress *addr)
{
    virDomainPCITopologyBus *root = &virDomainPCITopologyGet(addrs)->buses[0];
    uint32_t bit = 1U << addr->slot;

    if (addr->bus != 0 || !(req->flags & VIR_PCI_CONNECT_SHARE_SLOT))
        return;

    if (addr->function != 0) {
        addrs->topology->joined = true;
        return;
    }

    if (addrs->dryRun && root->joinable)
        root->yielding |= bit;
    root->joinable |= bit;
}


/**
 * virDomainPCIFunctionsFind:
 * @addrs: address set
 * @req: what the slot is for; there is no slot left for it
 * @addr: filled with the address found
 *
 * Finds the lowest free function beside devices that can share their slot.
 *
 * Returns: true if @req can share and there is one; no error is reported
 *          otherwise
 */
bool
virDomainPCIFunctionsFind(virDomainPCIAddressSet *addrs,
                          const virDomainPCISlotRequest *req,
                          virPCIDeviceAddress *addr)
{
    const virDomainPCIAddressBus *bus;
    uint32_t slots;

    if (!(req->flags & VIR_PCI_CONNECT_SHARE_SLOT) || addrs->nbuses == 0)
        return false;

    bus = &addrs->buses[0];

    if (req->isolationGroup || bus->isolationGroup ||
        (req->model >= 0 && (int)bus->model != req->model) ||
        !virDomainPCIBusSuits(bus->flags, 0, req->flags, false))
        return false;

    for (slots = virDomainPCITopologyGet(addrs)->buses[0].joinable; slots; slots &= slots - 1) {
        unsigned int slot = __builtin_ctz(slots);
        uint8_t functions = bus->slot[slot].functions;

        if (functions == 0 || functions == ALL_FUNCTIONS)
            continue;

        addr->bus = 0;
        addr->slot = slot;
        addr->function = __builtin_ctz(~functions);
        return true;
    }

    return false;
}


/**
 * virDomainPCIFunctionsAreJoined:
 * @addrs: address set
 *
 * Returns: true if a device was placed beside another in its slot
 */
bool
virDomainPCIFunctionsAreJoined(virDomainPCIAddressSet *addrs)
{
    return virDomainPCITopologyGet(addrs)->joined;
}


/**
 * virDomainPCIFunctionsLacking:
 * @def: domain definition with the connect flags of all devices
 *
 * Returns: the slots of the root bus, as a mask, with devices that can share a
 *          slot but none at function 0. Those of the chipset may be like that.
 */
uint32_t
virDomainPCIFunctionsLacking(virDomainDef *def)
{
    virDomainPCIFunctions found = { 0 };

    ignore_value(virDomainDeviceInfoIterate(def, virDomainPCIFunctionsCollectIter, &found));
    return found.sharing & ~found.function0;
}


/**
 * virDomainPCIFunctionsCheck:
 * @def: domain definition from which a device has been removed
 * @lacking: what virDomainPCIFunctionsLacking() said of it before
 *
 * A guest looks for the functions of a slot only if there is a function 0 (PCI
 * Local Bus Specification 3.0, 3.2.2.3.4), so that has to be the last to go.
 *
 * Returns: 0 on success, -1 with VIR_ERR_OPERATION_UNSUPPORTED reported
 */
int
virDomainPCIFunctionsCheck(virDomainDef *def,
                           uint32_t lacking)
{
    uint32_t slots = virDomainPCIFunctionsLacking(def) & ~lacking;

    if (!slots)
        return 0;

    virReportError(VIR_ERR_OPERATION_UNSUPPORTED,
                   _("the device at function 0 of PCI slot 0000:00:%1$02x cannot be detached before those that share the slot"),
                   __builtin_ctz(slots));
    return -1;
}
