/*
 * domain_pci_padding.h: buses for the addresses that a definition came with
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "domain_pci_plan.h"

void
virDomainPCIPaddingCollect(virDomainPCIPlan *plan,
                           virDomainDef *def)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2);

int
virDomainPCIPaddingFillGaps(virDomainPCIAddressSet *addrs,
                            virDomainControllerModelPCI filler)
    ATTRIBUTE_NONNULL(1);

int
virDomainPCIPaddingAdd(virDomainPCIAddressSet *addrs,
                       virDomainControllerModelPCI filler)
    ATTRIBUTE_NONNULL(1);

bool
virDomainPCIPaddingIsNeeded(const virDomainPCIPlan *plan,
                            size_t nbuses)
    ATTRIBUTE_NONNULL(1);
