/*
 * domain_pci_count.h: how many PCI slots and controllers of a kind there are
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "domain_pci_request.h"

/* How many slots of a kind there are */
typedef struct {
    size_t total;       /* hotpluggable slots */
    size_t used;        /* of these, in use */
    size_t unpluggable; /* free, but without hotplug */
} virDomainPCICensus;

void
virDomainPCICountSlots(virDomainPCIAddressSet *addrs,
                       const virDomainPCISlotRequest *req,
                       virDomainPCICensus *census)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2) ATTRIBUTE_NONNULL(3);

size_t
virDomainPCICountModel(const virDomainPCIAddressSet *addrs,
                       virDomainControllerModelPCI model)
    ATTRIBUTE_NONNULL(1);
