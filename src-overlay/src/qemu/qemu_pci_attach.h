/*
 * qemu_pci_attach.h: PCI places of devices that come to a guest later
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "domain_pci_functions.h"
#include "qemu_conf.h"
#include "qemu_domain.h"

int
qemuPCIAttachFindPlace(virDomainPCIAddressSet *addrs,
                       virQEMUCaps *qemuCaps,
                       virDomainDef *def,
                       virDomainDeviceDef *dev)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(3) ATTRIBUTE_NONNULL(4);

int
qemuPCIAttachPlaceAsLive(virDomainObj *vm,
                         virDomainDef *vmdef,
                         virDomainDeviceDef *dev)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2) ATTRIBUTE_NONNULL(3);

int
qemuPCIUpdateKeepPlace(virDomainDef *def,
                       virQEMUCaps *qemuCaps,
                       const virDomainDeviceDef *oldDev,
                       virDomainDeviceDef *dev)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(3) ATTRIBUTE_NONNULL(4);

void
qemuPCIAttachNameUser(const virDomainDeviceDef *dev)
    ATTRIBUTE_NONNULL(1);
