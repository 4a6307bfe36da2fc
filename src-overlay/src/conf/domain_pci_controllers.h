/*
 * domain_pci_controllers.h: the PCI controllers of a definition, their numbers
 * and order
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "domain_conf.h"

virBitmap *
virDomainPCIControllersIndexes(const virDomainDef *def)
    ATTRIBUTE_NONNULL(1);

size_t
virDomainPCIControllersCountBuses(const virDomainDef *def)
    ATTRIBUTE_NONNULL(1);

virDomainControllerDef **
virDomainPCIControllersOrder(const virDomainDef *def)
    ATTRIBUTE_NONNULL(1);

int
virDomainPCIControllersCheck(const virDomainDef *def)
    ATTRIBUTE_NONNULL(1);

int
virDomainPCIControllersUnusedIndex(const virDomainDef *def,
                                   const virDomainControllerDef *cont)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2);
