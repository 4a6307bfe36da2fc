/*
 * domain_pci_functions.h: devices that share a slot
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "domain_pci_request.h"

void
virDomainPCIFunctionsCollect(virDomainPCIAddressSet *addrs,
                             virDomainDef *def)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2);

void
virDomainPCIFunctionsPlaced(virDomainPCIAddressSet *addrs,
                            const virDomainPCISlotRequest *req,
                            const virPCIDeviceAddress *addr)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2) ATTRIBUTE_NONNULL(3);

bool
virDomainPCIFunctionsFind(virDomainPCIAddressSet *addrs,
                          const virDomainPCISlotRequest *req,
                          virPCIDeviceAddress *addr)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2) ATTRIBUTE_NONNULL(3);

bool
virDomainPCIFunctionsAreJoined(virDomainPCIAddressSet *addrs)
    ATTRIBUTE_NONNULL(1);

virDomainPCISlotMasks
virDomainPCIFunctionsLacking(virDomainDef *def)
    ATTRIBUTE_NONNULL(1);

int
virDomainPCIFunctionsCheck(virDomainDef *def,
                           const virDomainPCISlotMasks *lacking)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2);
