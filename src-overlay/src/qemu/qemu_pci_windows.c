/*
 * qemu_pci_windows.c: windows of PCI controllers, as QEMU and firmware see them
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * QEMU passes the sizes on to the firmware in a vendor-specific capability of
 * the controller (docs/pcie_pci_bridge.txt of QEMU, "Resource reserve
 * capability").
 */

#include <config.h>

#include "qemu_pci_windows.h"
#include "qemu_pci_policy.h"
#include "domain_pci_model.h"
#include "virerror.h"

#define VIR_FROM_THIS VIR_FROM_QEMU

/* I/O windows of 4 KiB that there are on q35: SeaBIOS leaves two of 16 to the
 * chipset, and if more are asked for the guest does not boot; OVMF has 0x6000
 * to 0xffff, and drops what does not fit. */
#define IO_WINDOWS_BIOS 14
#define IO_WINDOWS_UEFI 10

/* Memory windows below 4 GiB, in KiB: with 1 GiB in all SeaBIOS does not come to
 * an end, and OVMF drops some */
#define MEM_SUM_MAX (512 * 1024)

/* properties of a device, in bytes */
static const char *qemuPCIWindowsProps[] = {
    [VIR_DOMAIN_PCI_WINDOW_MEM] = "mem-reserve",
    [VIR_DOMAIN_PCI_WINDOW_PREF64] = "pref64-reserve",
    [VIR_DOMAIN_PCI_WINDOW_IO] = "io-reserve",
};

G_STATIC_ASSERT(G_N_ELEMENTS(qemuPCIWindowsProps) == VIR_DOMAIN_PCI_WINDOW_LAST);


/* Has the device of QEMU behind @cont those properties? */
static bool
qemuPCIWindowsIsCarrier(const virDomainControllerDef *cont)
{
    return cont->model == VIR_DOMAIN_CONTROLLER_MODEL_PCI_BRIDGE ||
        (cont->model == VIR_DOMAIN_CONTROLLER_MODEL_PCIE_ROOT_PORT &&
         cont->opts.pciopts.modelName != VIR_DOMAIN_CONTROLLER_PCI_MODEL_NAME_IOH3420);
}


/**
 * qemuPCIWindowsValidate:
 * @cont: a PCI controller
 *
 * Returns: 0 if it can have the windows that are written, -1 with
 *          VIR_ERR_CONFIG_UNSUPPORTED reported if not
 */
int
qemuPCIWindowsValidate(const virDomainControllerDef *cont)
{
    virDomainPCIWindows windows;
    const char *problem;

    virDomainPCIWindowsGet(&cont->opts.pciopts, &windows);
    if (!virDomainPCIWindowsAny(&windows))
        return 0;

    if (!qemuPCIWindowsIsCarrier(cont))
        problem = _("only pcie-root-port, but not ioh3420, and pci-bridge have them");
    else
        problem = virDomainPCIWindowsProblem(&windows);

    if (!problem)
        return 0;

    virReportError(VIR_ERR_CONFIG_UNSUPPORTED,
                   _("'memReserve', 'pref64Reserve' or 'ioReserve' is not supported for PCI controller with index='%1$d': %2$s"),
                   cont->idx, problem);
    return -1;
}


/**
 * qemuPCIWindowsAddProps:
 * @props: properties of a PCI controller for QEMU
 * @opts: its options
 *
 * Adds the windows that are given, unless libvirt has done so by itself.
 *
 * Returns: 0 on success, -1 with VIR_ERR_INTERNAL_ERROR reported
 */
int
qemuPCIWindowsAddProps(virJSONValue *props,
                       const virDomainPCIControllerOpts *opts)
{
    virDomainPCIWindows windows;
    size_t i;

    virDomainPCIWindowsGet(opts, &windows);

    for (i = 0; i < VIR_DOMAIN_PCI_WINDOW_LAST; i++) {
        if (windows.given[i] &&
            !virJSONValueObjectHasKey(props, qemuPCIWindowsProps[i]) &&
            virJSONValueObjectAppendNumberUlong(props, qemuPCIWindowsProps[i],
                                                windows.kib[i] * 1024) < 0)
            return -1;
    }

    return 0;
}


/* Sets @parent to the controller that @cont is plugged into */
static bool
qemuPCIWindowsParent(const virDomainDef *def,
                     const virDomainControllerDef *cont,
                     const virDomainControllerDef **parent)
{
    int idx = virDomainControllerFind(def, VIR_DOMAIN_CONTROLLER_TYPE_PCI,
                                      cont->info.addr.pci.bus);

    if (idx < 0 || virDomainPCIModelIsRoot(cont->model))
        return false;

    *parent = def->controllers[idx];
    return true;
}


/* How many I/O windows @cont takes of the machine. What is below another bridge
 * takes them from that one. */
static unsigned int
qemuPCIWindowsCountIO(const virDomainDef *def,
                      const virDomainControllerDef *cont)
{
    const virDomainControllerDef *parent = NULL;
    virDomainPCIWindows windows;

    if (cont->type != VIR_DOMAIN_CONTROLLER_TYPE_PCI ||
        !qemuPCIWindowsParent(def, cont, &parent) ||
        cont->model == VIR_DOMAIN_CONTROLLER_MODEL_PCI_EXPANDER_BUS ||
        cont->model == VIR_DOMAIN_CONTROLLER_MODEL_PCIE_EXPANDER_BUS)
        return 0;

    virDomainPCIWindowsGet(&cont->opts.pciopts, &windows);

    if (virDomainPCIModelIsRoot(parent->model)) {
        return windows.given[VIR_DOMAIN_PCI_WINDOW_IO] ?
            windows.kib[VIR_DOMAIN_PCI_WINDOW_IO] / VIR_DOMAIN_PCI_IO_GRANULARITY : 1;
    }

    /* a conventional bridge always has one, and so has the port above it,
     * whatever is said there */
    virDomainPCIWindowsGet(&parent->opts.pciopts, &windows);
    return virDomainPCIModelOffers(cont->model, VIR_PCI_CONNECT_TYPE_PCI_DEVICE) &&
        virDomainPCIModelOffers(parent->model, VIR_PCI_CONNECT_TYPE_PCIE_DEVICE) &&
        windows.given[VIR_DOMAIN_PCI_WINDOW_IO] &&
        windows.kib[VIR_DOMAIN_PCI_WINDOW_IO] == 0;
}


/**
 * qemuPCIWindowsCheckIO:
 * @def: domain definition to which I/O windows were promised, with all its
 *       controllers
 *
 * Returns: 0 if there is I/O space for all windows, -1 with
 *          VIR_ERR_CONFIG_UNSUPPORTED reported if not
 */
int
qemuPCIWindowsCheckIO(const virDomainDef *def)
{
    unsigned int max = qemuPCIPolicyIsUEFI(def) ? IO_WINDOWS_UEFI : IO_WINDOWS_BIOS;
    unsigned int count = 0;
    size_t i;

    for (i = 0; i < def->ncontrollers; i++)
        count += qemuPCIWindowsCountIO(def, def->controllers[i]);

    if (count <= max)
        return 0;

    virReportError(VIR_ERR_CONFIG_UNSUPPORTED,
                   _("'ioReserve' is promised, but the PCI controllers of this guest take %1$u I/O windows of 4 KiB, and there are %2$u"),
                   count, max);
    return -1;
}


/**
 * qemuPCIWindowsWantsIO:
 * @def: domain definition with the controllers so far
 *
 * Has one more conventional bridge to ask for I/O? SeaBIOS gives each bridge
 * 4 KiB by itself. So does OVMF 2022.11; OVMF 2025.02 gives a bridge none unless
 * it is asked for. On pc it is not asked: there are 16 KiB in all, and if they
 * do not suffice OVMF takes the memory of a bridge as well.
 *
 * Returns: true if it has to, and there is I/O space for it
 */
bool
qemuPCIWindowsWantsIO(const virDomainDef *def)
{
    unsigned int count = 0;
    size_t i;

    if (!qemuPCIPolicyIsUEFI(def))
        return false;

    for (i = 0; i < def->ncontrollers; i++) {
        if (def->controllers[i]->type != VIR_DOMAIN_CONTROLLER_TYPE_PCI)
            continue;

        if (def->controllers[i]->model == VIR_DOMAIN_CONTROLLER_MODEL_PCI_ROOT)
            return false;
        count += MAX(def->controllers[i]->opts.pciopts.ioReserve, 0) / VIR_DOMAIN_PCI_IO_GRANULARITY;
    }

    /* the chipset has I/O as well */
    return count + 1 < IO_WINDOWS_UEFI;
}


/* The 64-bit address space for PCI in KiB, as far as the definition tells; 0 if
 * it does not. OVMF uses an eighth of what the CPU can address. */
static unsigned long long
qemuPCIWindowsRoom(const virDomainDef *def)
{
    int idx = virDomainControllerFind(def, VIR_DOMAIN_CONTROLLER_TYPE_PCI, 0);

    if (idx >= 0 && def->controllers[idx]->opts.pciopts.pcihole64)
        return def->controllers[idx]->opts.pciopts.pcihole64size;

    if (def->cpu && def->cpu->addr &&
        def->cpu->addr->mode == VIR_CPU_MAX_PHYS_ADDR_MODE_EMULATE &&
        def->cpu->addr->bits > 10 && def->cpu->addr->bits < 64) {
        unsigned long long all = 1ULL << (def->cpu->addr->bits - 10);
        unsigned long long memory = virDomainDefGetMemoryTotal(def);

        if (qemuPCIPolicyIsUEFI(def))
            return all / 8;
        return all > memory ? all - memory : 1;
    }

    return 0;
}


/**
 * qemuPCIWindowsCheckRoom:
 * @def: domain definition with all its controllers
 *
 * Returns: 0 if the memory windows fit, and the 64-bit windows do or that cannot
 *          be said; -1 with VIR_ERR_CONFIG_UNSUPPORTED reported if they do not
 */
int
qemuPCIWindowsCheckRoom(const virDomainDef *def)
{
    unsigned long long room = qemuPCIWindowsRoom(def);
    unsigned long long sum = 0;
    unsigned long long mem = 0;
    size_t i;

    for (i = 0; i < def->ncontrollers; i++) {
        if (def->controllers[i]->type == VIR_DOMAIN_CONTROLLER_TYPE_PCI) {
            sum += def->controllers[i]->opts.pciopts.pref64Reserve;
            mem += def->controllers[i]->opts.pciopts.memReserve;
        }
    }

    if (mem > MEM_SUM_MAX) {
        virReportError(VIR_ERR_CONFIG_UNSUPPORTED,
                       _("memory windows of %1$llu KiB in all are more than the %2$d KiB that firmware has below 4 GiB"),
                       mem, MEM_SUM_MAX);
        return -1;
    }

    if (room == 0 || sum <= room)
        return 0;

    virReportError(VIR_ERR_CONFIG_UNSUPPORTED,
                   _("64-bit windows of %1$llu KiB in all do not fit into the %2$llu KiB that this guest has for PCI; see <pcihole64> and <maxphysaddr>"),
                   sum, room);
    return -1;
}
