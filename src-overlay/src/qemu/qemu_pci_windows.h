/*
 * qemu_pci_windows.h: windows of PCI controllers, as QEMU and firmware see them
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "domain_conf.h"
#include "virjson.h"

int
qemuPCIWindowsValidate(const virDomainControllerDef *cont)
    ATTRIBUTE_NONNULL(1);

int
qemuPCIWindowsAddProps(virJSONValue *props,
                       const virDomainPCIControllerOpts *opts)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2);

int
qemuPCIWindowsCheckIO(const virDomainDef *def)
    ATTRIBUTE_NONNULL(1);

bool
qemuPCIWindowsWantsIO(const virDomainDef *def)
    ATTRIBUTE_NONNULL(1);

int
qemuPCIWindowsCheckRoom(const virDomainDef *def)
    ATTRIBUTE_NONNULL(1);
