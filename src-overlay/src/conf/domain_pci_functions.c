/*
 * domain_pci_functions.c: devices that share a slot
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Devices that need not be hotpluggable have a slot of the root bus each, and
 * once these are used up a function of a slot that such a device has already.
 * Nothing else is put there: QEMU removes all functions of a slot when it
 * removes one. Groups that share a slot are in domain_pci_groups.c; what goes
 * last when devices leave is the same for both.
 */

#include <config.h>

#include "domain_pci_functions.h"
#include "domain_pci_groups.h"
#include "domain_pci_topology_index.h"
#include "virerror.h"

#define VIR_FROM_THIS VIR_FROM_DOMAIN

typedef struct {
    virDomainPCISlotMasks others;    /* some function is of a device that may not */
    virDomainPCISlotMasks sharing;   /* some function is of a device that may */
    virDomainPCISlotMasks grouped;   /* or of one in a group that shares it */
    virDomainPCISlotMasks function0; /* function 0 is in use */
} virDomainPCIFunctions;


static int
virDomainPCIFunctionsCollectIter(virDomainDef *def,
                                 virDomainDeviceDef *dev G_GNUC_UNUSED,
                                 virDomainDeviceInfo *info,
                                 void *opaque)
{
    virDomainPCIFunctions *found = opaque;
    virDomainPCISlotMasks *masks = &found->others;

    if (!virDomainPCIAddressIsOnBus(info))
        return 0;

    if (info->addr.pci.function == 0)
        found->function0.slots[info->addr.pci.bus] |= 1U << info->addr.pci.slot;

    if (virDomainPCIGroupsIsSlot(def, info))
        masks = &found->grouped;
    else if (info->pciConnectFlags & VIR_PCI_CONNECT_SHARE_SLOT &&
             info->addr.pci.multi != VIR_TRISTATE_SWITCH_OFF)
        masks = &found->sharing;

    masks->slots[info->addr.pci.bus] |= 1U << info->addr.pci.slot;
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
    g_autofree virDomainPCIFunctions *found = g_new0(virDomainPCIFunctions, 1);

    if (addrs->nbuses == 0)
        return;

    ignore_value(virDomainDeviceInfoIterate(def, virDomainPCIFunctionsCollectIter, found));
    virDomainPCITopologyGet(addrs)->buses[0].joinable = found->sharing.slots[0] &
        found->function0.slots[0] & ~found->others.slots[0] & ~found->grouped.slots[0];
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
 * Returns: the slots with devices that share them but none at function 0. Those
 *          of the chipset may be like that.
 */
virDomainPCISlotMasks
virDomainPCIFunctionsLacking(virDomainDef *def)
{
    g_autofree virDomainPCIFunctions *found = g_new0(virDomainPCIFunctions, 1);
    virDomainPCISlotMasks lacking = { 0 };
    size_t bus;

    ignore_value(virDomainDeviceInfoIterate(def, virDomainPCIFunctionsCollectIter, found));

    /* only those of the root bus are shared by others than groups */
    lacking.slots[0] = found->sharing.slots[0] & ~found->function0.slots[0];
    for (bus = 0; bus < VIR_DOMAIN_PCI_BUSES_MAX; bus++)
        lacking.slots[bus] |= found->grouped.slots[bus] & ~found->function0.slots[bus];

    return lacking;
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
                           const virDomainPCISlotMasks *lacking)
{
    virDomainPCISlotMasks now = virDomainPCIFunctionsLacking(def);
    size_t bus;

    for (bus = 0; bus < VIR_DOMAIN_PCI_BUSES_MAX; bus++) {
        uint32_t slots = now.slots[bus] & ~lacking->slots[bus];

        if (!slots)
            continue;

        virReportError(VIR_ERR_OPERATION_UNSUPPORTED,
                       _("the device at function 0 of PCI slot 0000:%1$02zx:%2$02x cannot be detached before those that share the slot"),
                       bus, __builtin_ctz(slots));
        return -1;
    }

    return 0;
}
