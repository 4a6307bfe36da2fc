/*
 * qemu_pci_preferences.h: what <preferences> ask of a guest as a whole
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "domain_pci_plan.h"
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

virDomainPreferencesCaps *
qemuPCIPreferencesCaps(virQEMUDriver *driver,
                       virQEMUCaps *qemuCaps,
                       const char *machine,
                       virArch arch,
                       virDomainVirtType virtType)
    ATTRIBUTE_NONNULL(3);

void
qemuPCIPromiseInit(qemuPCIPromise *promise,
                   const virDomainPreferences *prefs)
    ATTRIBUTE_NONNULL(1);

bool
qemuPCIPromiseIsGiven(const qemuPCIPromise *promise)
    ATTRIBUTE_NONNULL(1);

int
qemuPCIPromiseReserve(qemuPCIPromise *promise,
                      virDomainPCIAddressSet *addrs)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2);

int
qemuPCIPromiseCheck(const qemuPCIPromise *promise)
    ATTRIBUTE_NONNULL(1);
