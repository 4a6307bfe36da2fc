/*
 * qemu_pci_preferences.h: keeping what <preferences> and hints ask for
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "qemu_conf.h"
#include "qemu_pci_policy.h"

/* Free hotpluggable slots, by class */
typedef enum {
    QEMU_PCI_SLOTS_EXPRESS,
    QEMU_PCI_SLOTS_CONVENTIONAL,
    QEMU_PCI_SLOTS_LAST
} qemuPCISlots;

/* How many free slots a definition is to have */
typedef struct {
    unsigned int asked[QEMU_PCI_SLOTS_LAST];
    unsigned int possible[QEMU_PCI_SLOTS_LAST]; /* at most @asked */
} qemuPCIPromise;

int
qemuPCIPreferencesCheck(const virDomainDef *def,
                        const qemuPCIPolicy *policy,
                        virQEMUCaps *qemuCaps)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2);

typedef int
(*qemuPCIPromiseMeasure)(virDomainDef *def,
                         virQEMUCaps *qemuCaps,
                         virQEMUDriver *driver,
                         qemuPCIPromise *promise);

virDomainPreferencesCaps *
qemuPCIPreferencesCaps(virQEMUDriver *driver,
                       virQEMUCaps *qemuCaps,
                       const char *machine,
                       virArch arch,
                       virDomainVirtType virtType,
                       qemuPCIPromiseMeasure measure)
    ATTRIBUTE_NONNULL(3) ATTRIBUTE_NONNULL(6);

void
qemuPCIPromiseInit(qemuPCIPromise *promise,
                   const virDomainPreferences *prefs)
    ATTRIBUTE_NONNULL(1);

int
qemuPCIPromiseReserve(qemuPCIPromise *promise,
                      virDomainPCIAddressSet *addrs)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2);

int
qemuPCIPromiseCheck(const qemuPCIPromise *promise)
    ATTRIBUTE_NONNULL(1);

void
qemuPCIHintsApply(const virDomainDeviceDef *dev,
                  virDomainDeviceInfo *info,
                  const virDomainPreferences *prefs)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2);

int
qemuPCIHintsCheck(virDomainDef *def,
                  const qemuPCIPolicy *policy)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2);

int
qemuPCIHintsCheckPlaces(virDomainDef *def,
                        virDomainPCIAddressSet *addrs)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2);

int
qemuPCILiveCheck(virDomainPCIAddressSet *addrs,
                 const virDomainDef *def,
                 virDomainDeviceDef *dev,
                 virDomainDeviceInfo *info)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2) ATTRIBUTE_NONNULL(3)
    ATTRIBUTE_NONNULL(4);

void
qemuPCIPlaceAsLive(virDomainPCIAddressSet *live,
                   virDomainPCIAddressSet *config,
                   virDomainDeviceInfo *info)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2) ATTRIBUTE_NONNULL(3);

void
qemuPCIKeepPlace(const virDomainDeviceDef *oldDev,
                 virDomainDeviceDef *dev)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2);
