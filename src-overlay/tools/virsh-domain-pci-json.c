/*
 * virsh-domain-pci-json.c: a PCI topology as JSON
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include <config.h>

#include "virsh-domain-pci-show.h"

#include "virstring.h"

/* The controllers that have free slots; where the driver did not say, all */
static virJSONValue *
virshPCIJSONFreeControllers(virshPCI *pci)
{
    virJSONValue *all = virJSONValueObjectGetArray(pci->json, "controllers");
    virJSONValue *array = virJSONValueNewArray();
    size_t i;

    for (i = 0; all && i < virJSONValueArraySize(all); i++) {
        virJSONValue *object = virJSONValueArrayGet(all, i);
        g_autoptr(virJSONValue) copy = NULL;
        unsigned int idx = 0;

        if (virJSONValueObjectGetNumberUint(object, "index", &idx) < 0 ||
            idx >= VIRSH_PCI_BUSES || !pci->buses[idx] ||
            (pci->known && !virshPCIBusCounts(pci->buses[idx])))
            continue;

        copy = virJSONValueCopy(object);
        virJSONValueArrayAppend(array, &copy);
    }

    return array;
}

bool
virshPCIShowJSON(vshControl *ctl,
                 virshPCI *pci,
                 bool onlyFree)
{
    g_autofree char *text = NULL;

    /* what the driver says, but for what was asked of virsh */
    virJSONValueObjectRemoveKey(pci->json, "planned", NULL);
    virJSONValueObjectAppendBoolean(pci->json, "planned", pci->planned && pci->known);
    if (!pci->known)
        virJSONValueObjectAppendBoolean(pci->json, "inexact", true);

    if (onlyFree) {
        g_autoptr(virJSONValue) controllers = virshPCIJSONFreeControllers(pci);

        virJSONValueObjectRemoveKey(pci->json, "devices", NULL);
        virJSONValueObjectRemoveKey(pci->json, "unplaced", NULL);
        virJSONValueObjectRemoveKey(pci->json, "controllers", NULL);
        virJSONValueObjectAppend(pci->json, "controllers", &controllers);
    }

    if (!(text = virJSONValueToString(pci->json, true)))
        return false;

    virStringTrimOptionalNewline(text);
    vshPrint(ctl, "%s\n", text);
    return true;
}
