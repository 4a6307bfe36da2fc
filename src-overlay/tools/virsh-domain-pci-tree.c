/*
 * virsh-domain-pci-tree.c: a PCI topology as a tree and as a table
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include <config.h>

#include "virsh-domain-pci-show.h"

#include "virbuffer.h"
#include "vsh-table.h"

/* -- tree ------------------------------------------------------------------ */

typedef struct {
    virshPCI *pci;
    virBuffer buf;
    bool colour;
    bool onlyFree;
} virshPCITree;

#define COLOUR_FREE "\033[32m"
#define COLOUR_CONTROLLER "\033[1m"
#define COLOUR_ADDED "\033[36m"
#define COLOUR_MISSING "\033[31m"
#define COLOUR_DIM "\033[2m"

static void
virshPCITreeColour(virshPCITree *tree,
                   const char *colour)
{
    if (tree->colour)
        virBufferAdd(&tree->buf, colour ? colour : "\033[0m", -1);
}

/* How many slots are free, where they are not listed one by one */
static void
virshPCITreeAddEmpty(virshPCITree *tree,
                     const virshPCIBus *bus)
{
    unsigned int empty = __builtin_popcount(bus->freeSlots);

    if (tree->pci->known && (tree->onlyFree || bus->hotplug))
        return;

    virshPCITreeColour(tree, COLOUR_DIM);
    if (!tree->pci->known)
        virBufferAdd(&tree->buf, STREQ_NULLABLE(bus->kind, "none") ? "" : _(", ? free"), -1);
    else if (bus->unreachable)
        virBufferAsprintf(&tree->buf, _(", leads to no root, %1$u empty"), empty);
    else
        virBufferAsprintf(&tree->buf, _(", no hotplug, %1$u empty"), empty);
    virshPCITreeColour(tree, NULL);
}

static void
virshPCITreeAddController(virshPCITree *tree,
                          const virshPCIDevice *dev)
{
    virBuffer *buf = &tree->buf;
    virshPCIBus *bus = dev->bus;

    virshPCITreeColour(tree, COLOUR_CONTROLLER);
    virBufferAdd(buf, dev->model ? dev->model : dev->type, -1);
    virshPCITreeColour(tree, NULL);

    if (!bus) {
        if (dev->target)
            virBufferAsprintf(buf, _(", index %1$s"), dev->target);
        return;
    }

    virBufferAsprintf(buf, _(", index %1$u"), bus->idx);
    if (bus->targetIndex)
        virBufferAsprintf(buf, _(", PHB %1$s"), bus->targetIndex);
    if (bus->busNr)
        virBufferAsprintf(buf, _(", bus number %1$s"), bus->busNr);
    if (bus->node)
        virBufferAsprintf(buf, _(", NUMA node %1$s"), bus->node);
    virshPCITreeAddEmpty(tree, bus);
}

static void
virshPCITreeAddDevice(virshPCITree *tree,
                      const virshPCIDevice *dev)
{
    virBuffer *buf = &tree->buf;
    bool chipset = STREQ(dev->type, "chipset");

    if (dev->isController) {
        virshPCITreeAddController(tree, dev);
    } else {
        g_autofree char *kind = virshPCIDeviceKind(dev);

        if (chipset)
            virshPCITreeColour(tree, COLOUR_DIM);
        virBufferAdd(buf, kind, -1);
        if (dev->model)
            virBufferAsprintf(buf, " %s", dev->model);
        if (chipset)
            virshPCITreeColour(tree, NULL);
        if (dev->target && STREQ(dev->type, "controller"))
            virBufferAsprintf(buf, _(", index %1$s"), dev->target);
        else if (dev->target)
            virBufferAsprintf(buf, ", %s", dev->target);
        if (dev->mac)
            virBufferAsprintf(buf, ", %s", dev->mac);
    }
    if (dev->alias)
        virBufferAsprintf(buf, ", %s", dev->alias);
    if (dev->hints)
        virBufferAsprintf(buf, " [%s]", dev->hints);
    if (dev->added) {
        virshPCITreeColour(tree, COLOUR_ADDED);
        virBufferAsprintf(buf, " (%s)", _("added"));
        virshPCITreeColour(tree, NULL);
    }
}

static void
virshPCITreeAddFree(virshPCITree *tree,
                    const virshPCIBus *bus,
                    const virshPCIItem *item)
{
    g_autofree char *slots = virshPCISlotsFormat(bus, item->first, item->last);
    size_t n = item->last - item->first + 1;

    virBufferAsprintf(&tree->buf, n == 1 ? "%-9s" : "%s  ", slots);
    virshPCITreeColour(tree, COLOUR_FREE);
    if (bus->isolated)
        virBufferAsprintf(&tree->buf, _("%1$zu empty, kept for one host IOMMU group"), n);
    else if (STREQ_NULLABLE(bus->kind, "pcie"))
        virBufferAsprintf(&tree->buf, _("%1$zu free, PCIe"), n);
    else
        virBufferAsprintf(&tree->buf, _("%1$zu free, conventional"), n);
    virshPCITreeColour(tree, NULL);
    if (bus->dev->group)
        virBufferAsprintf(&tree->buf, " [group=%s]", bus->dev->group);
}

static void
virshPCITreeAddBus(virshPCITree *tree,
                   virshPCIBus *bus,
                   const char *indent)
{
    g_autoptr(GArray) items = virshPCIBusItems(bus, tree->onlyFree);
    size_t i;

    bus->shown = true;

    for (i = 0; i < items->len; i++) {
        virshPCIItem *item = &g_array_index(items, virshPCIItem, i);
        virshPCIBus *below = item->dev ? item->dev->bus : NULL;

        virBufferAsprintf(&tree->buf, "%s+- ", indent);
        if (!item->dev) {
            virshPCITreeAddFree(tree, bus, item);
        } else {
            g_autofree char *addr = virshPCIAddressFormat(&item->dev->addr);

            virBufferAsprintf(&tree->buf, "%-9s", addr);
            virshPCITreeAddDevice(tree, item->dev);
        }
        virBufferAddLit(&tree->buf, "\n");

        if (below && !below->shown) {
            g_autofree char *deeper = g_strdup_printf("%s%s", indent,
                                                      i + 1 < items->len ? "|  " : "   ");

            virshPCITreeAddBus(tree, below, deeper);
        }
    }
}

static void
virshPCITreeAddHead(virshPCITree *tree)
{
    virshPCI *pci = tree->pci;

    virshPCITreeColour(tree, COLOUR_CONTROLLER);
    virBufferAdd(&tree->buf, NULLSTR_MINUS(pci->name), -1);
    virshPCITreeColour(tree, NULL);
    if (pci->arch || pci->machine) {
        virBufferAsprintf(&tree->buf, " (%s%s%s)", NULLSTR_EMPTY(pci->arch),
                          pci->arch && pci->machine ? ", " : "",
                          NULLSTR_EMPTY(pci->machine));
    }
    if (pci->planned && pci->known)
        virBufferAsprintf(&tree->buf, ", %s", _("planned, not defined"));
    virBufferAddLit(&tree->buf, "\n");
}

static void
virshPCITreeAddUnplaced(virshPCITree *tree)
{
    size_t i;

    if (tree->pci->unplaced->len == 0 || tree->onlyFree)
        return;

    virBufferAsprintf(&tree->buf, "%s\n", _("On no PCI bus of this XML:"));
    for (i = 0; i < tree->pci->unplaced->len; i++) {
        virshPCIDevice *dev = g_ptr_array_index(tree->pci->unplaced, i);

        virBufferAddLit(&tree->buf, "   ");
        if (dev->placed) {
            g_autofree char *addr = virshPCIAddressFormat(&dev->addr);

            virBufferAsprintf(&tree->buf, "%s  ", addr);
        }
        virshPCITreeAddDevice(tree, dev);
        virBufferAddLit(&tree->buf, "\n");
    }
}

bool
virshPCIShowTree(vshControl *ctl,
                 virshPCI *pci,
                 bool onlyFree)
{
    virshPCITree tree = { .pci = pci, .onlyFree = onlyFree };
    bool missing = false;
    g_autofree char *summary = virshPCISummary(pci, &missing);
    g_autoptr(GPtrArray) roots = virshPCIRoots(pci, onlyFree);
    g_autofree char *text = NULL;
    size_t i;

    tree.colour = isatty(STDOUT_FILENO) && !getenv("NO_COLOR") &&
        STRNEQ_NULLABLE(getenv("TERM"), "dumb");

    virshPCITreeAddHead(&tree);

    for (i = 0; i < roots->len; i++) {
        virshPCIBus *bus = g_ptr_array_index(roots, i);

        if (bus->shown)
            continue;
        virshPCITreeAddDevice(&tree, bus->dev);
        virBufferAddLit(&tree.buf, "\n");
        virshPCITreeAddBus(&tree, bus, "");
    }

    if (virJSONValueArraySize(virJSONValueObjectGetArray(pci->json, "controllers")) == 0)
        virBufferAsprintf(&tree.buf, "%s\n", _("No PCI controllers"));

    virshPCITreeAddUnplaced(&tree);

    if (missing)
        virshPCITreeColour(&tree, COLOUR_MISSING);
    virBufferAdd(&tree.buf, summary, -1);
    if (missing)
        virshPCITreeColour(&tree, NULL);

    text = virBufferContentAndReset(&tree.buf);
    vshPrint(ctl, "%s\n", text);
    return true;
}

/* -- table ----------------------------------------------------------------- */

static int
virshPCITableAddFree(vshTable *table,
                     const virshPCI *pci,
                     const virshPCIBus *bus)
{
    g_autofree char *idx = g_strdup_printf("%u", bus->idx);
    g_autofree char *kind = g_strdup_printf(bus->dev->group ? "%s [group=%s]" : "%s",
                                            NULLSTR_MINUS(bus->kind), bus->dev->group);
    uint32_t slots = virshPCIBusCounts(bus) ? bus->freeSlots : 0;

    if (!pci->known && STRNEQ_NULLABLE(bus->kind, "none")) {
        g_autofree char *addr = g_strdup_printf("%02x:?", bus->idx);

        return vshTableRowAppend(table, addr, kind, bus->dev->model, idx, NULL);
    }

    for (; slots; slots &= slots - 1) {
        size_t slot = __builtin_ctz(slots);
        g_autofree char *addr = virshPCISlotsFormat(bus, slot, slot);

        if (vshTableRowAppend(table, addr, kind, bus->dev->model, idx, NULL) < 0)
            return -1;
    }

    return 0;
}

static int
virshPCITableAddDevice(vshTable *table,
                       const virshPCI *pci,
                       const virshPCIDevice *dev)
{
    g_autofree char *kind = virshPCIDeviceKind(dev);
    g_autofree char *addr = NULL;
    g_autofree char *idx = NULL;
    const char *parent = NULL;
    const char *target = dev->target ? dev->target : dev->mac;
    const char *hotplug = pci->known ? "no" : "?";

    if (dev->placed) {
        virshPCIBus *bus = dev->addr.bus < VIRSH_PCI_BUSES ? pci->buses[dev->addr.bus] : NULL;

        addr = virshPCIAddressFormat(&dev->addr);
        if (bus) {
            parent = bus->dev->model;
            hotplug = dev->isController ? bus->dev->hotplug : dev->hotplug;
        }
    }

    if (dev->bus)
        target = idx = g_strdup_printf("%u", dev->bus->idx);

    return vshTableRowAppend(table, NULLSTR_MINUS(addr), kind,
                             NULLSTR_MINUS(dev->model), NULLSTR_MINUS(target),
                             NULLSTR_MINUS(dev->alias), NULLSTR_MINUS(parent),
                             hotplug, NULLSTR_MINUS(dev->hints), NULL);
}

static int
virshPCITableAddBus(vshTable *table,
                    const virshPCI *pci,
                    const virshPCIBus *bus)
{
    size_t function;
    size_t slot;

    if (!bus->dev->placed && virshPCITableAddDevice(table, pci, bus->dev) < 0)
        return -1;

    for (slot = 0; slot < VIRSH_PCI_SLOTS; slot++) {
        for (function = 0; function < VIRSH_PCI_FUNCTIONS; function++) {
            if (bus->fn[slot][function] &&
                virshPCITableAddDevice(table, pci, bus->fn[slot][function]) < 0)
                return -1;
        }
    }

    return 0;
}

bool
virshPCIShowTable(vshControl *ctl,
                  virshPCI *pci,
                  bool onlyFree)
{
    g_autoptr(vshTable) table = NULL;
    size_t i;

    if (onlyFree) {
        table = vshTableNew(_("Slot"), _("Class"), _("Controller"), _("Index"), NULL);
    } else {
        table = vshTableNew(_("Address"), _("Device"), _("Model"), _("Target"),
                            _("Alias"), _("Controller"), _("Hotplug"), _("Hints"),
                            NULL);
    }
    if (!table)
        return false;

    for (i = 0; i < VIRSH_PCI_BUSES; i++) {
        if (pci->buses[i] &&
            (onlyFree ? virshPCITableAddFree(table, pci, pci->buses[i]) :
             virshPCITableAddBus(table, pci, pci->buses[i])) < 0)
            return false;
    }

    for (i = 0; i < pci->unplaced->len && !onlyFree; i++) {
        if (virshPCITableAddDevice(table, pci, g_ptr_array_index(pci->unplaced, i)) < 0)
            return false;
    }

    vshTablePrintToStdout(table, ctl);
    return true;
}
