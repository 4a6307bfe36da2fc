/*
 * qemupcinodestest.c: devices of the host near the memory of the guest
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The devices are those of virpcimock; which node of the host each is near to
 * is written below its fake root.
 */

#include <config.h>

#include "testutils.h"

#if WITH_QEMU && defined(__linux__)

# include "testutilsqemu.h"
# include "qemu/qemu_domain.h"
# include "qemu/qemu_pci_nodes.h"
# include "virfile.h"

# define VIR_FROM_THIS VIR_FROM_NONE

# define DEVICE "0000:00:03.0"
# define DEVICE_DIR "/sys/bus/pci/devices/" DEVICE

static virQEMUDriver driver;
static char *root;


/* Each cell with its own node of the host, or one node for both */
# define MEMORY "<memory mode='strict' nodeset='0-1'/>"
# define CELL(_cell, _nodes) "<memnode cellid='" _cell "' mode='strict' nodeset='" _nodes "'/>"
# define TUNE(_what) "<numatune>" _what "</numatune>"
# define EACH TUNE(MEMORY CELL("0", "0") CELL("1", "1"))
# define SHARED TUNE(CELL("0", "0-1") CELL("1", "1"))
# define PLACED "<preferences><preference name='hostdevPlacement' value='numa'/></preferences>"

static const char *guest =
    "<domain type='qemu'>"
    "  <name>guest</name>"
    "  <uuid>63840878-0deb-4095-97e6-fc444d9bc9fa</uuid>"
    "  <memory unit='KiB'>524288</memory>"
    "  <vcpu>2</vcpu>"
    "  %s"
    "  <os><type arch='x86_64' machine='q35'>hvm</type></os>"
    "  <features><acpi/></features>"
    "  <cpu>"
    "    <numa>"
    "      <cell id='0' cpus='0' memory='262144' unit='KiB'/>"
    "      <cell id='1' cpus='1' memory='262144' unit='KiB'/>"
    "    </numa>"
    "  </cpu>"
    "  %s"
    "  <devices>"
    "    <emulator>/usr/bin/qemu-system-x86_64</emulator>"
    "    <controller type='usb' model='none'/>"
    "    <controller type='pci' index='0' model='pcie-root'/>"
    "    <controller type='pci' index='1' model='pcie-root-port'/>"
    "    <hostdev mode='subsystem' type='pci'>"
    "      <source><address domain='0x0000' bus='0x00' slot='0x03' function='0x0'/></source>"
    "      %s"
    "    </hostdev>"
    "    <memballoon model='none'/>"
    "  </devices>"
    "</domain>";


/* Moves the device to a node of the host; NULL: the host does not say */
static int
testMove(const char *node)
{
    g_autofree char *path = g_strdup_printf("%s" DEVICE_DIR "/numa_node", root);

    /* the mock makes its files when it is first asked for one */
    if (!virFileExists(DEVICE_DIR)) {
        fprintf(stderr, "virpcimock has no device " DEVICE "\n");
        return -1;
    }

    if (!node)
        return unlink(path) < 0 && errno != ENOENT ? -1 : 0;

    return virFileWriteStr(path, node, 0600);
}


/* The NUMA node of the host bridge that leads to @info; -1: none */
static int
testNodeOfPlace(virDomainDef *def,
                const virDomainDeviceInfo *info)
{
    unsigned int bus = info->addr.pci.bus;
    size_t steps;

    for (steps = 0; steps < def->ncontrollers; steps++) {
        int idx = virDomainControllerFind(def, VIR_DOMAIN_CONTROLLER_TYPE_PCI, bus);

        if (idx < 0)
            break;
        if (def->controllers[idx]->model == VIR_DOMAIN_CONTROLLER_MODEL_PCIE_EXPANDER_BUS)
            return def->controllers[idx]->opts.pciopts.numaNode;
        bus = def->controllers[idx]->info.addr.pci.bus;
    }

    return -1;
}


typedef struct {
    const char *host;       /* node of the host that the device is near to */
    const char *tune;       /* where the guest's memory is */
    const char *prefs;
    const char *address;    /* what is written about the device */
    int hint;               /* 'node' that it has when it is defined; -1: none */
    int place;              /* node of the slot that it has then */
    int live;               /* node that is sought if it comes to a running guest */
    const char *error;      /* part of what is reported instead */
} testPlaceData;


static int
testExpect(const char *what,
           int expected,
           int actual)
{
    if (expected == actual)
        return 0;

    fprintf(stderr, "%s: expected %d, actual %d\n", what, expected, actual);
    return -1;
}


static int
testExpectPlace(const testPlaceData *data,
                virDomainDef *def)
{
    const virDomainDeviceInfo *info = def->hostdevs[0]->info;

    if (testExpect("node of the device", data->hint, virDomainPCIHintsNode(&info->pciHints)) < 0)
        return -1;

    return testExpect("node of its slot", data->place, testNodeOfPlace(def, info));
}


static int
testPlace(const void *opaque)
{
    const testPlaceData *data = opaque;
    g_autofree char *xml = g_strdup_printf(guest, data->tune, data->prefs, data->address);
    g_autofree char *defined = NULL;
    g_autoptr(virDomainDef) def = NULL;
    g_autoptr(virDomainDef) redefined = NULL;
    unsigned int flags = VIR_DOMAIN_DEF_PARSE_INACTIVE | VIR_DOMAIN_DEF_PARSE_ABI_UPDATE;
    virDomainHostdevDef *hostdev;
    int live;

    if (testMove(data->host) < 0)
        return -1;

    def = virDomainDefParseString(xml, driver.xmlopt, NULL, flags);
    if (!def && data->error && strstr(virGetLastErrorMessage(), data->error)) {
        virResetLastError();
        return 0;
    }
    if (!def || data->error) {
        fprintf(stderr, "expected %s, actual: %s\n",
                data->error ? data->error : "success", virGetLastErrorMessage());
        return -1;
    }

    hostdev = def->hostdevs[0];
    if (testExpectPlace(data, def) < 0 ||
        qemuPCINodesFindHostdev(def, hostdev, &live) < 0 ||
        testExpect("node for a live attach", data->live, live) < 0)
        return -1;

    /* what is written stays, wherever the device is now */
    if (!(defined = virDomainDefFormat(def, driver.xmlopt, VIR_DOMAIN_DEF_FORMAT_INACTIVE)) ||
        testMove("0") < 0 ||
        !(redefined = virDomainDefParseString(defined, driver.xmlopt, NULL, flags)))
        return -1;

    return testExpectPlace(data, redefined);
}


static int
mymain(void)
{
    g_autofree char *caps = NULL;
    g_autoptr(virQEMUCaps) qemuCaps = NULL;
    int ret = 0;

    root = g_strdup(abs_builddir "/fakerootdir-XXXXXX");
    if (!g_mkdtemp(root))
        return EXIT_FAILURE;
    g_setenv("LIBVIRT_FAKE_ROOT_DIR", root, TRUE);

    if (qemuTestDriverInit(&driver) < 0)
        return EXIT_FAILURE;
    qemuTestSetHostArch(&driver, VIR_ARCH_X86_64);

    if (!(caps = testQemuGetLatestCapsForArch("x86_64", "xml")) ||
        !(qemuCaps = qemuTestParseCapabilitiesArch(VIR_ARCH_X86_64, caps)) ||
        qemuTestCapsCacheInsert(driver.qemuCapsCache, qemuCaps) < 0)
        return EXIT_FAILURE;

# define DO_TEST_FULL(_name, _host, _tune, _prefs, _address, _hint, _place, _live, _error) \
    do { \
        testPlaceData data = { \
            .host = _host, .tune = _tune, .prefs = _prefs, .address = _address, \
            .hint = _hint, .place = _place, .live = _live, .error = _error, \
        }; \
        virTestRunLog(&ret, _name, testPlace, &data); \
    } while (0)

    /* all that matters is where the device is, and the memory of the cells */
# define DO_TEST(_name, _host, _tune, _node) \
    DO_TEST_FULL(_name, _host, _tune, PLACED, "", _node, _node, _node, NULL)
# define DO_TEST_ERROR(_name, _host, _tune, _error) \
    DO_TEST_FULL(_name, _host, _tune, PLACED, "", -1, -1, -1, _error)
    /* what the user wrote comes first */
# define DO_TEST_WRITTEN(_name, _host, _tune, _address, _node, _live) \
    DO_TEST_FULL(_name, _host, _tune, PLACED, _address, _node, _node, _live, NULL)

    DO_TEST("near cell 1", "1", EACH, 1);
    DO_TEST("near cell 0", "0", EACH, 0);
    DO_TEST("near no cell", "2", EACH, -1);
    DO_TEST("near no node", "-1", EACH, -1);
    DO_TEST("a host that does not say", NULL, EACH, -1);
    DO_TEST_FULL("not asked for", "1", EACH, "", "", -1, -1, -1, NULL);

    DO_TEST("memory of a single cell is tuned", "1", TUNE(CELL("1", "1")), 1);
    DO_TEST("memory is not tuned", "1", "", -1);
    DO_TEST("one cell of two nodes", "1", TUNE(CELL("0", "0-1")), 0);
    DO_TEST("two cells of another node", "2", SHARED, -1);
    DO_TEST_ERROR("two cells of one node", "1", SHARED,
                  "cannot place host device " DEVICE ": the memory of NUMA cells 0 and 1 "
                  "comes from node 1 of the host");
    DO_TEST_ERROR("all cells have the memory of the guest", "1", TUNE(MEMORY),
                  "cannot place host device " DEVICE);

    DO_TEST_WRITTEN("an address", "1", EACH,
                    "<address type='pci' domain='0' bus='1' slot='0' function='0'/>", -1, 1);
    DO_TEST_WRITTEN("another node", "1", EACH, "<address type='pci' node='0'/>", 0, 1);
    DO_TEST_WRITTEN("not hotpluggable", "1", EACH, "<address type='pci' hotpluggable='no'/>", -1, 1);

    qemuTestDriverFree(&driver);
    if (!g_getenv("LIBVIRT_SKIP_CLEANUP"))
        virFileDeleteTree(root);
    g_free(root);

    return ret == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

VIR_TEST_MAIN_PRELOAD(mymain, VIR_TEST_MOCK("virpci"))

#else

int
main(void)
{
    return EXIT_AM_SKIP;
}

#endif /* WITH_QEMU && __linux__ */
