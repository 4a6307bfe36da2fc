/*
 * virsh-domain-pci-show.h: the formats that virsh shows a PCI topology in
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "virsh-domain-pci-model.h"
#include "vsh.h"

/* Each prints @pci, with @onlyFree only free slots and what leads to them, and
 * returns true on success. What has been shown is marked in @pci, so that it can
 * be printed once. */

bool
virshPCIShowTree(vshControl *ctl,
                 virshPCI *pci,
                 bool onlyFree);

bool
virshPCIShowTable(vshControl *ctl,
                  virshPCI *pci,
                  bool onlyFree);

bool
virshPCIShowJSON(vshControl *ctl,
                 virshPCI *pci,
                 bool onlyFree);

bool
virshPCIShowDot(vshControl *ctl,
                virshPCI *pci,
                bool onlyFree);
