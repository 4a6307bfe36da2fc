/*
 * qemu_pci_request.h: what a device of a QEMU guest asks of its PCI slot
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "qemu_conf.h"
#include "qemu_pci_policy.h"

void
qemuPCIRequestApply(const virDomainDeviceDef *dev,
                    virDomainDeviceInfo *info,
                    const virDomainDef *def,
                    const virDomainPreferences *prefs)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2) ATTRIBUTE_NONNULL(3);

bool
qemuPCIRequestIsVIO(const virDomainDeviceDef *dev)
    ATTRIBUTE_NONNULL(1);

int
qemuPCIRequestCheck(const virDomainDeviceDef *dev,
                    const virDomainDeviceInfo *info,
                    const virDomainDef *def,
                    virQEMUCaps *qemuCaps)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2) ATTRIBUTE_NONNULL(3);

int
qemuPCIRequestCheckAll(virDomainDef *def,
                       virQEMUCaps *qemuCaps)
    ATTRIBUTE_NONNULL(1);

int
qemuPCIRequestCheckPlace(const virDomainDeviceDef *dev,
                         const virDomainDeviceInfo *info,
                         virDomainPCIAddressSet *addrs)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2) ATTRIBUTE_NONNULL(3);

int
qemuPCIRequestCheckAllPlaces(virDomainDef *def,
                             virDomainPCIAddressSet *addrs)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2);

int
qemuPCIRequestRefuse(const virDomainDeviceDef *dev,
                     const char *reason)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2);

virDomainPreference
qemuPCIRequestPreference(const virDomainPCISlotRequest *req)
    ATTRIBUTE_NONNULL(1);
