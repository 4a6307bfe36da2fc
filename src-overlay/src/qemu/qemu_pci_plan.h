/*
 * qemu_pci_plan.h: which PCI controllers a definition is to get
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "domain_pci_plan.h"
#include "qemu_conf.h"
#include "qemu_pci_policy.h"

virDomainPCIPlan *
qemuPCIPlanControllers(virDomainDef *def,
                       virQEMUCaps *qemuCaps,
                       virQEMUDriver *driver,
                       bool newDomain)
    ATTRIBUTE_NONNULL(1);

int
qemuPCIPlanCheck(virDomainDef *def,
                 virDomainPCIAddressSet *addrs)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2);
