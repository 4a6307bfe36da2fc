/*
 * virsh-domain-pci-dot.c: a PCI topology as a graph for Graphviz
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A bus with many slots is a box with a grid of cells. A port, which has one
 * slot, is drawn inside its cell; so a guest with 200 devices is one box.
 */

#include <config.h>

#include "virsh-domain-pci-show.h"

#include "virbuffer.h"

#define DOT_DEVICE "#dbeafe"
#define DOT_FREE "#dcfce7"
#define DOT_CHIPSET "#e5e7eb"
#define DOT_CONTROLLER "#fef3c7"
#define DOT_EMPTY "#ffffff"
#define DOT_HEAD "#334155"
#define DOT_GREY "#64748b"
#define DOT_GROUP "#d97706"

#define DOT_BREAK "<BR ALIGN=\"LEFT\"/>"

/* A cell of the grid */
typedef struct {
    const char *fill;
    const char *style;
    bool framed;        /* what is in it belongs to a group */
    virBuffer text;
} virshPCIDotCell;

static void
virshPCIDotDevice(virBuffer *buf,
                  const virshPCIDevice *dev)
{
    g_autofree char *kind = virshPCIDeviceKind(dev);

    virBufferEscapeString(buf, "%s", kind);
    if (dev->model)
        virBufferEscapeString(buf, " %s", dev->model);
    if (dev->target && dev->mac)
        virBufferEscapeString(buf, DOT_BREAK "%s", dev->target);
    else if (dev->target)
        virBufferEscapeString(buf, " %s", dev->target);
    if (dev->mac)
        virBufferEscapeString(buf, dev->target ? " %s" : DOT_BREAK "%s", dev->mac);
    if (dev->hints)
        virBufferEscapeString(buf, DOT_BREAK "<I>%s</I>", dev->hints);
    virBufferAddLit(buf, DOT_BREAK);
}

static bool
virshPCIDotIsPort(const virshPCIBus *bus)
{
    return bus && bus->slots == 1;
}

static void
virshPCIDotController(virBuffer *buf,
                      const virshPCIDevice *dev)
{
    virBufferEscapeString(buf, "%s", dev->model);
    if (dev->bus)
        virBufferAsprintf(buf, " %u", dev->bus->idx);
    if (dev->hints)
        virBufferEscapeString(buf, " %s", dev->hints);
}

static void
virshPCIDotFillFree(virshPCIDotCell *cell,
                    const virshPCIBus *bus,
                    size_t n)
{
    cell->fill = DOT_FREE;
    cell->style = " STYLE=\"DASHED\"";
    if (n > 1)
        virBufferAsprintf(&cell->text, "%zu ", n);
    virBufferAsprintf(&cell->text, "free%s" DOT_BREAK,
                      bus->isolated ? " (isolated)" : "");
    if (bus->dev->group)
        virBufferEscapeString(&cell->text, "<I>group=%s</I>" DOT_BREAK, bus->dev->group);
}

/* What is in the one slot of a port */
static void
virshPCIDotFillPort(virshPCIDotCell *cell,
                    const virshPCI *pci,
                    virshPCIBus *bus)
{
    virshPCIDevice **slot = bus->fn[0];
    bool any = false;
    size_t function;

    for (function = 0; function < VIRSH_PCI_FUNCTIONS; function++) {
        if (!slot[function])
            continue;
        any = true;
        cell->framed |= slot[function]->group != NULL;
        if (slot[function]->isController) {
            cell->fill = DOT_CONTROLLER;
            virshPCIDotController(&cell->text, slot[function]);
            virBufferAddLit(&cell->text, DOT_BREAK);
        } else {
            virshPCIDotDevice(&cell->text, slot[function]);
        }
    }

    if (any)
        return;

    if (bus->hotplug && bus->freeSlots) {
        virshPCIDotFillFree(cell, bus, 1);
    } else {
        cell->fill = DOT_EMPTY;
        virBufferAdd(&cell->text, pci->known ? "empty, no hotplug" DOT_BREAK :
                     "empty" DOT_BREAK, -1);
    }
}

static void
virshPCIDotAddCell(virBuffer *buf,
                   const virshPCI *pci,
                   virshPCIBus *bus,
                   const virshPCIItem *item)
{
    virshPCIDotCell cell = { .fill = DOT_DEVICE, .style = "" };
    virshPCIBus *below = item->dev ? item->dev->bus : NULL;
    g_autofree char *addr = item->dev ? virshPCIAddressFormat(&item->dev->addr) :
        virshPCISlotsFormat(bus, item->first, item->last);

    if (!item->dev) {
        virshPCIDotFillFree(&cell, bus, item->last - item->first + 1);
    } else if (virshPCIDotIsPort(below)) {
        cell.framed = below->dev->group;
        virshPCIDotFillPort(&cell, pci, below);
    } else if (below) {
        cell.fill = DOT_CONTROLLER;
        virshPCIDotController(&cell.text, item->dev);
        virBufferAddLit(&cell.text, DOT_BREAK);
    } else {
        if (STREQ(item->dev->type, "chipset"))
            cell.fill = DOT_CHIPSET;
        cell.framed = item->dev->group;
        virshPCIDotDevice(&cell.text, item->dev);
    }

    virBufferAsprintf(buf, "<TD PORT=\"s%zuf%u\" BGCOLOR=\"%s\"%s%s ALIGN=\"LEFT\" BALIGN=\"LEFT\">"
                      "<FONT POINT-SIZE=\"8\" COLOR=\"" DOT_GREY "\">%s",
                      item->first, item->dev ? item->dev->addr.function : 0,
                      cell.fill, cell.style,
                      cell.framed ? " COLOR=\"" DOT_GROUP "\" BORDER=\"2\"" : "", addr);
    if (virshPCIDotIsPort(below)) {
        virBufferAddLit(buf, " ");
        virshPCIDotController(buf, item->dev);
    }
    virBufferAsprintf(buf, "</FONT>" DOT_BREAK "%s</TD>",
                      NULLSTR_EMPTY(virBufferCurrentContent(&cell.text)));
    virBufferFreeAndReset(&cell.text);
}

/* The bus that an edge leads to from @function behind @item: @item itself is a
 * bridge, or a port that holds one. */
static virshPCIBus *
virshPCIDotNext(const virshPCIItem *item,
                size_t function)
{
    virshPCIBus *below = item->dev ? item->dev->bus : NULL;
    virshPCIDevice *dev;

    if (!virshPCIDotIsPort(below))
        return function == 0 ? below : NULL;

    dev = below->fn[0][function];

    return dev ? dev->bus : NULL;
}

static void
virshPCIDotAddHead(virBuffer *buf,
                   const virshPCI *pci,
                   const virshPCIBus *bus,
                   size_t columns)
{
    /* a frame around what a group has to itself */
    virBufferAsprintf(buf, "  bus%u [%slabel=<\n"
                      "<TABLE BORDER=\"0\" CELLBORDER=\"1\" CELLSPACING=\"3\" CELLPADDING=\"3\" COLOR=\"#94a3b8\">\n"
                      "<TR><TD PORT=\"head\" COLSPAN=\"%zu\" BGCOLOR=\"" DOT_HEAD "\"><FONT COLOR=\"white\"><B>",
                      bus->idx,
                      bus->dev->group ? "shape=box, penwidth=2, color=\"" DOT_GROUP "\", " : "",
                      columns);
    virshPCIDotController(buf, bus->dev);
    virBufferAddLit(buf, "</B>");
    if (bus->busNr)
        virBufferEscapeString(buf, ", bus number %s", bus->busNr);
    if (bus->node)
        virBufferEscapeString(buf, ", NUMA node %s", bus->node);
    if (!pci->known)
        virBufferAddLit(buf, ", ? free");
    else if (bus->hotplug)
        virBufferAsprintf(buf, ", %u free", (unsigned int) __builtin_popcount(bus->freeSlots));
    else
        virBufferAddLit(buf, ", no hotplug");
    virBufferAddLit(buf, "</FONT></TD></TR>\n");
}

/* The cells: neighbours are below each other; what leads on is on the right,
 * from where the edges go. */
static void
virshPCIDotAddGrid(virBuffer *buf,
                   const virshPCI *pci,
                   virshPCIBus *bus,
                   GArray *items)
{
    g_autoptr(GPtrArray) leaves = g_ptr_array_new();
    g_autoptr(GPtrArray) links = g_ptr_array_new();
    size_t columns = 1;
    size_t rows;
    size_t i;
    size_t j;

    for (i = 0; i < items->len; i++) {
        virshPCIItem *item = &g_array_index(items, virshPCIItem, i);
        size_t n = 0;

        while (n < VIRSH_PCI_FUNCTIONS && !virshPCIDotNext(item, n))
            n++;
        g_ptr_array_add(n < VIRSH_PCI_FUNCTIONS ? links : leaves, item);
    }

    /* Cells are about four times as wide as high. Boxes with many of them that
     * stand above each other may be wide. */
    while (columns * columns * (bus->dev->placed && leaves->len > 8 ? 1 : 4) < leaves->len)
        columns++;
    rows = MAX(VIR_DIV_UP(leaves->len, columns), MAX(1, links->len));
    columns = VIR_DIV_UP(leaves->len, rows);

    virshPCIDotAddHead(buf, pci, bus, MAX(1, columns + (links->len > 0)));

    for (i = 0; i < rows && items->len > 0; i++) {
        virBufferAddLit(buf, "<TR>");
        for (j = 0; j < columns; j++) {
            size_t n = j * rows + i;

            if (n < leaves->len)
                virshPCIDotAddCell(buf, pci, bus, g_ptr_array_index(leaves, n));
            else
                virBufferAddLit(buf, "<TD BORDER=\"0\"></TD>");
        }
        if (i < links->len)
            virshPCIDotAddCell(buf, pci, bus, g_ptr_array_index(links, i));
        else if (links->len > 0)
            virBufferAddLit(buf, "<TD BORDER=\"0\"></TD>");
        virBufferAddLit(buf, "</TR>\n");
    }
    virBufferAddLit(buf, "</TABLE>>];\n");
}

static void
virshPCIDotAddBus(virBuffer *buf,
                  const virshPCI *pci,
                  virshPCIBus *bus,
                  bool onlyFree)
{
    g_autoptr(GArray) items = virshPCIBusItems(bus, onlyFree);
    size_t function;
    size_t i;

    bus->shown = true;
    virshPCIDotAddGrid(buf, pci, bus, items);

    for (i = 0; i < items->len; i++) {
        virshPCIItem *item = &g_array_index(items, virshPCIItem, i);

        if (item->dev && virshPCIDotIsPort(item->dev->bus))
            item->dev->bus->shown = true;

        for (function = 0; function < VIRSH_PCI_FUNCTIONS; function++) {
            virshPCIBus *next = virshPCIDotNext(item, function);

            if (!next || (onlyFree && !next->leadsToFree))
                continue;

            virBufferAsprintf(buf, "  bus%u:s%zuf%u:e -> bus%u:head:w;\n",
                              bus->idx, item->first, item->dev->addr.function, next->idx);
            if (!next->shown)
                virshPCIDotAddBus(buf, pci, next, onlyFree);
        }
    }
}

bool
virshPCIShowDot(vshControl *ctl,
                virshPCI *pci,
                bool onlyFree)
{
    g_auto(virBuffer) buf = VIR_BUFFER_INITIALIZER;
    g_auto(virBuffer) order = VIR_BUFFER_INITIALIZER;
    g_autoptr(GPtrArray) roots = virshPCIRoots(pci, onlyFree);
    bool missing = false;
    g_autofree char *summary = virshPCISummary(pci, &missing);
    g_autofree char *text = NULL;
    size_t i;

    virBufferAddLit(&buf, "digraph pci {\n"
                    "  graph [rankdir=LR, nodesep=0.3, ranksep=0.7, fontname=\"Helvetica\", fontsize=13, labelloc=t, label=<");
    virBufferEscapeString(&buf, "<B>%s</B>", NULLSTR_MINUS(pci->name));
    if (pci->machine)
        virBufferEscapeString(&buf, " (%s)", pci->machine);
    virBufferEscapeString(&buf, "<BR/>%s>];\n", summary);
    virBufferAddLit(&buf, "  node [shape=plain, fontname=\"Helvetica\", fontsize=10];\n"
                    "  edge [color=\"#64748b\", arrowsize=0.6];\n");

    /* roots are below each other */
    for (i = 0; i < roots->len; i++) {
        virshPCIBus *bus = g_ptr_array_index(roots, i);

        if (bus->shown)
            continue;
        virshPCIDotAddBus(&buf, pci, bus, onlyFree);
        if (virBufferUse(&order))
            virBufferAddLit(&order, " -> ");
        virBufferAsprintf(&order, "bus%u", bus->idx);
    }
    if (virBufferUse(&order)) {
        virBufferAsprintf(&buf, "  { rank=same; edge [style=invis]; %s; }\n",
                          virBufferCurrentContent(&order));
    }
    virBufferAddLit(&buf, "}");

    text = virBufferContentAndReset(&buf);
    vshPrint(ctl, "%s\n", text);
    return true;
}
