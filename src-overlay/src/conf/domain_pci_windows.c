/*
 * domain_pci_windows.c: address space that is kept for what is plugged in later
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The firmware gives each bridge windows that are just large enough for what is
 * behind it when the guest boots, and a little more. A controller can ask for
 * other sizes; what they are good for is decided here and nowhere else.
 */

#include <config.h>

#include "domain_pci_windows.h"
#include "domain_conf.h"
#include "virerror.h"

#define VIR_FROM_THIS VIR_FROM_DOMAIN

/* All I/O space there is, of 16 bit addresses */
#define IO_MAX 64

/* Memory windows are below 4 GiB, prefetchable ones in what 52 bits reach */
#define MEM_MAX (4ULL * 1024 * 1024)
#define PREF64_MAX (4ULL * 1024 * 1024 * 1024 * 1024)

VIR_ENUM_IMPL(virDomainPCIWindow,
              VIR_DOMAIN_PCI_WINDOW_LAST,
              "memReserve",
              "pref64Reserve",
              "ioReserve",
);


/**
 * virDomainPCIWindowsParseXML:
 * @node: element with the windows as attributes, in KiB
 * @windows: filled with them
 *
 * Returns: 0 on success, -1 with VIR_ERR_XML_ERROR reported
 */
int
virDomainPCIWindowsParseXML(xmlNodePtr node,
                            virDomainPCIWindows *windows)
{
    size_t i;

    memset(windows, 0, sizeof(*windows));

    for (i = 0; i < VIR_DOMAIN_PCI_WINDOW_LAST; i++) {
        /* "none" can be said of I/O only; the others the firmware gives always */
        virXMLPropFlags flags = i == VIR_DOMAIN_PCI_WINDOW_IO ?
            VIR_XML_PROP_NONE : VIR_XML_PROP_NONZERO;
        int rc = virXMLPropULongLong(node, virDomainPCIWindowTypeToString(i), 0,
                                     flags, &windows->kib[i]);

        if (rc < 0)
            return -1;
        windows->given[i] = rc > 0;
    }

    return 0;
}


/**
 * virDomainPCIWindowsAny:
 * @windows: windows
 *
 * Returns: true if at least one is given
 */
bool
virDomainPCIWindowsAny(const virDomainPCIWindows *windows)
{
    size_t i;

    for (i = 0; i < VIR_DOMAIN_PCI_WINDOW_LAST; i++) {
        if (windows->given[i])
            return true;
    }

    return false;
}


/**
 * virDomainPCIWindowsEqual:
 * @a: windows
 * @b: others
 *
 * Returns: true if they are the same
 */
bool
virDomainPCIWindowsEqual(const virDomainPCIWindows *a,
                         const virDomainPCIWindows *b)
{
    size_t i;

    for (i = 0; i < VIR_DOMAIN_PCI_WINDOW_LAST; i++) {
        if (a->given[i] != b->given[i] || a->kib[i] != b->kib[i])
            return false;
    }

    return true;
}


/**
 * virDomainPCIWindowsAdd:
 * @sum: what some devices need
 * @windows: what one more needs
 */
void
virDomainPCIWindowsAdd(virDomainPCIWindows *sum,
                       const virDomainPCIWindows *windows)
{
    size_t i;

    for (i = 0; i < VIR_DOMAIN_PCI_WINDOW_LAST; i++) {
        sum->given[i] = sum->given[i] || windows->given[i];
        sum->kib[i] += windows->kib[i];
    }
}


/**
 * virDomainPCIWindowsMax:
 * @max: what any of some devices needs
 * @windows: what one more needs
 */
void
virDomainPCIWindowsMax(virDomainPCIWindows *max,
                       const virDomainPCIWindows *windows)
{
    size_t i;

    for (i = 0; i < VIR_DOMAIN_PCI_WINDOW_LAST; i++) {
        max->given[i] = max->given[i] || windows->given[i];
        max->kib[i] = MAX(max->kib[i], windows->kib[i]);
    }
}


/**
 * virDomainPCIWindowsHold:
 * @windows: windows of a controller
 * @taken: what of them is promised to others
 * @each: what each of some devices needs
 * @n: how many devices there are
 *
 * Returns: true if the windows are known to be large enough for all of them
 */
bool
virDomainPCIWindowsHold(const virDomainPCIWindows *windows,
                        const virDomainPCIWindows *taken,
                        const virDomainPCIWindows *each,
                        size_t n)
{
    size_t i;

    for (i = 0; i < VIR_DOMAIN_PCI_WINDOW_LAST; i++) {
        if (each->kib[i] > 0 &&
            (windows->kib[i] < taken->kib[i] ||
             (windows->kib[i] - taken->kib[i]) / each->kib[i] < n))
            return false;
    }

    return true;
}


/**
 * virDomainPCIWindowsMultiply:
 * @windows: what a device needs
 * @n: how many devices there are
 *
 * Changes @windows to those of a controller that takes all of them.
 */
void
virDomainPCIWindowsMultiply(virDomainPCIWindows *windows,
                            size_t n)
{
    size_t i;

    for (i = 0; i < VIR_DOMAIN_PCI_WINDOW_LAST; i++)
        windows->kib[i] *= n;

    windows->kib[VIR_DOMAIN_PCI_WINDOW_IO] =
        VIR_ROUND_UP(windows->kib[VIR_DOMAIN_PCI_WINDOW_IO],
                     VIR_DOMAIN_PCI_IO_GRANULARITY);
}


/* How well an I/O window suits, 0 is best. What is not given may be there, which
 * matters only where it is needed. */
static int
virDomainPCIWindowsRankIO(const virDomainPCIWindows *windows,
                          bool needed)
{
    bool has = windows->kib[VIR_DOMAIN_PCI_WINDOW_IO] > 0;

    if (!needed)
        return has;

    return has ? 0 : windows->given[VIR_DOMAIN_PCI_WINDOW_IO] ? 2 : 1;
}


static int
virDomainPCIWindowsCompareSize(const virDomainPCIWindows *a,
                               const virDomainPCIWindows *b,
                               virDomainPCIWindow which)
{
    return a->kib[which] == b->kib[which] ? 0 : a->kib[which] < b->kib[which] ? -1 : 1;
}


/**
 * virDomainPCIWindowsCompare:
 * @a: windows of a controller with a free slot
 * @b: those of another
 * @io: the slot is for a device with I/O BARs that is plugged in later: it
 *      needs an I/O window, and behind a bridge more memory than an empty one
 *      has; other devices leave both to those that need them
 *
 * Large 64-bit windows are the most precious, then those for I/O.
 *
 * Returns: less than 0 if @a is the better choice, 0 if both are as good, more
 *          than 0 otherwise
 */
int
virDomainPCIWindowsCompare(const virDomainPCIWindows *a,
                           const virDomainPCIWindows *b,
                           bool io)
{
    int rank = virDomainPCIWindowsRankIO(a, io) - virDomainPCIWindowsRankIO(b, io);
    int cmp;

    if (io && rank != 0)
        return rank;

    if (io &&
        a->given[VIR_DOMAIN_PCI_WINDOW_MEM] != b->given[VIR_DOMAIN_PCI_WINDOW_MEM])
        return a->given[VIR_DOMAIN_PCI_WINDOW_MEM] ? -1 : 1;

    if ((cmp = virDomainPCIWindowsCompareSize(a, b, VIR_DOMAIN_PCI_WINDOW_PREF64)) != 0)
        return cmp;

    if (rank != 0)
        return rank;

    return virDomainPCIWindowsCompareSize(a, b, VIR_DOMAIN_PCI_WINDOW_MEM);
}


/**
 * virDomainPCIWindowsProblem:
 * @windows: windows that are asked for
 *
 * Returns: why they cannot be had, or NULL
 */
const char *
virDomainPCIWindowsProblem(const virDomainPCIWindows *windows)
{
    const unsigned long long *kib = windows->kib;

    if (kib[VIR_DOMAIN_PCI_WINDOW_IO] % VIR_DOMAIN_PCI_IO_GRANULARITY != 0 ||
        kib[VIR_DOMAIN_PCI_WINDOW_IO] > IO_MAX)
        return _("'ioReserve' must be a multiple of 4 KiB, and 64 KiB at most");

    if (kib[VIR_DOMAIN_PCI_WINDOW_MEM] >= MEM_MAX)
        return _("'memReserve' must be less than 4 GiB");

    if (kib[VIR_DOMAIN_PCI_WINDOW_PREF64] > PREF64_MAX)
        return _("'pref64Reserve' must be 4 PiB at most");

    return NULL;
}


/**
 * virDomainPCIWindowsGet:
 * @opts: options of a PCI controller
 * @windows: filled with its windows
 */
void
virDomainPCIWindowsGet(const virDomainPCIControllerOpts *opts,
                       virDomainPCIWindows *windows)
{
    *windows = (virDomainPCIWindows) {
        .given = {
            [VIR_DOMAIN_PCI_WINDOW_MEM] = opts->memReserve > 0,
            [VIR_DOMAIN_PCI_WINDOW_PREF64] = opts->pref64Reserve > 0,
            [VIR_DOMAIN_PCI_WINDOW_IO] = opts->ioReserve >= 0,
        },
        .kib = {
            [VIR_DOMAIN_PCI_WINDOW_MEM] = opts->memReserve,
            [VIR_DOMAIN_PCI_WINDOW_PREF64] = opts->pref64Reserve,
            [VIR_DOMAIN_PCI_WINDOW_IO] = MAX(opts->ioReserve, 0),
        },
    };
}


/**
 * virDomainPCIWindowsSet:
 * @opts: options of a PCI controller
 * @windows: the windows that it is to have
 */
void
virDomainPCIWindowsSet(virDomainPCIControllerOpts *opts,
                       const virDomainPCIWindows *windows)
{
    opts->memReserve = windows->kib[VIR_DOMAIN_PCI_WINDOW_MEM];
    opts->pref64Reserve = windows->kib[VIR_DOMAIN_PCI_WINDOW_PREF64];
    opts->ioReserve = windows->given[VIR_DOMAIN_PCI_WINDOW_IO] ?
        (int)MIN(windows->kib[VIR_DOMAIN_PCI_WINDOW_IO], INT_MAX) : -1;
}


/**
 * virDomainPCIWindowsCheckABIStability:
 * @src: a controller
 * @dst: the controller that is to take its place
 *
 * The guest reads the windows that are asked for from the configuration space
 * of the controller.
 *
 * Returns: true if the windows are the same, false with
 *          VIR_ERR_CONFIG_UNSUPPORTED reported if not
 */
bool
virDomainPCIWindowsCheckABIStability(const virDomainControllerDef *src,
                                     const virDomainControllerDef *dst)
{
    virDomainPCIWindows from;
    virDomainPCIWindows to;

    if (src->type != VIR_DOMAIN_CONTROLLER_TYPE_PCI)
        return true;

    virDomainPCIWindowsGet(&src->opts.pciopts, &from);
    virDomainPCIWindowsGet(&dst->opts.pciopts, &to);

    if (virDomainPCIWindowsEqual(&from, &to))
        return true;

    virReportError(VIR_ERR_CONFIG_UNSUPPORTED,
                   _("Target PCI controller index='%1$d' has other 'memReserve', 'pref64Reserve' or 'ioReserve' than the source"),
                   dst->idx);
    return false;
}
