/*
 * domain_pci_numbers.h: bus numbers of expander buses
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "domain_pci_topology.h"

typedef struct _virDomainPCIChain virDomainPCIChain;

int
virDomainPCINumbersCount(virDomainPCIAddressSet *addrs,
                         size_t host)
    ATTRIBUTE_NONNULL(1);

int
virDomainPCINumbersNeeded(virDomainPCIAddressSet *addrs,
                          size_t host)
    ATTRIBUTE_NONNULL(1);

int
virDomainPCINumbersLeft(virDomainPCIAddressSet *addrs,
                        size_t host)
    ATTRIBUTE_NONNULL(1);

bool
virDomainPCINumbersAreLeft(virDomainPCIAddressSet *addrs,
                           size_t bus)
    ATTRIBUTE_NONNULL(1);

bool
virDomainPCINumbersSuffice(virDomainPCIAddressSet *addrs,
                           int node,
                           const virDomainPCIChain *chain)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(3);

int
virDomainPCINumbersChoose(virDomainPCIAddressSet *addrs,
                          virDomainDef *def,
                          virBitmap *given)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2) ATTRIBUTE_NONNULL(3);

int
virDomainPCINumbersCheck(virDomainPCIAddressSet *addrs,
                         const virDomainDef *def)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2);
