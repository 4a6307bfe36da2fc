/*
 * domain_pci_model.h: what models of PCI controllers offer, and what suits them
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "domain_addr.h"

/* The guest numbers its buses 0-255 (PCI Local Bus Specification 3.0, 3.2.2.3:
 * the bus number is eight bits wide), and every PCI controller is one bus. */
#define VIR_DOMAIN_PCI_BUSES_MAX 256

/* Slots of a guest, a mask for each bus of domain 0 */
typedef struct {
    uint32_t slots[VIR_DOMAIN_PCI_BUSES_MAX];
} virDomainPCISlotMasks;

/* One more of virDomainPCIConnectFlags: a device that has this can be a
 * function of a slot, once no slot is left, beside others that have it */
#define VIR_PCI_CONNECT_SHARE_SLOT (1 << 30)

bool
virDomainPCIModelIsRoot(virDomainControllerModelPCI model);

bool
virDomainPCIModelIsExpander(virDomainControllerModelPCI model);

bool
virDomainPCIModelIsHostBridge(virDomainControllerModelPCI model);

bool
virDomainPCIModelOffers(virDomainControllerModelPCI model,
                        virDomainPCIConnectFlags flags);

size_t
virDomainPCIModelSlots(virDomainControllerModelPCI model);

bool
virDomainPCIModelMultiplies(virDomainControllerModelPCI model);

virDomainPCIConnectFlags
virDomainPCIConnectTypes(virDomainPCIConnectFlags flags);

bool
virDomainPCIBusSuits(virDomainPCIConnectFlags busFlags,
                     size_t busNr,
                     virDomainPCIConnectFlags flags,
                     bool fromConfig);

bool
virDomainPCIBusHasSlot(const virDomainPCIAddressBus *bus,
                       const virPCIDeviceAddress *addr,
                       virDomainPCIConnectFlags flags,
                       bool fromConfig)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2);

bool
virDomainPCIAddressIsOnBus(const virDomainDeviceInfo *info);

int
virDomainPCIAddressCompare(const virPCIDeviceAddress *a,
                           const virPCIDeviceAddress *b)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2);
