/*
 * domain_pci_multifunction.c: slots of which several functions are in use
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include <config.h>

#include "domain_pci_multifunction.h"
#include "domain_pci_model.h"

static int
virDomainPCIMultifunctionCollect(virDomainDef *def G_GNUC_UNUSED,
                                 virDomainDeviceDef *dev G_GNUC_UNUSED,
                                 virDomainDeviceInfo *info,
                                 void *opaque)
{
    virDomainPCISlotMasks *multi = opaque;

    if (virDomainPCIAddressIsOnBus(info) && info->addr.pci.function != 0)
        multi->slots[info->addr.pci.bus] |= 1U << info->addr.pci.slot;

    return 0;
}


static int
virDomainPCIMultifunctionMark(virDomainDef *def G_GNUC_UNUSED,
                              virDomainDeviceDef *dev G_GNUC_UNUSED,
                              virDomainDeviceInfo *info,
                              void *opaque)
{
    virDomainPCISlotMasks *multi = opaque;
    uint32_t *slots;

    if (!virDomainPCIAddressIsOnBus(info) || info->addr.pci.function != 0)
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
 * virDomainPCIMultifunctionSet:
 * @def: domain definition whose devices have their addresses
 *
 * Sets multifunction for the device at function 0 of each slot of which other
 * functions are in use too, unless the user has set it off.
 */
void
virDomainPCIMultifunctionSet(virDomainDef *def)
{
    g_autofree virDomainPCISlotMasks *multi = g_new0(virDomainPCISlotMasks, 1);

    ignore_value(virDomainDeviceInfoIterate(def, virDomainPCIMultifunctionCollect, multi));
    ignore_value(virDomainDeviceInfoIterate(def, virDomainPCIMultifunctionMark, multi));
}
