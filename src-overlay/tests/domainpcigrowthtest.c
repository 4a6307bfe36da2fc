/*
 * domainpcigrowthtest.c: the PCI topology and the planner by themselves
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A topology is written as one text: its buses, separated by commas. A bus is
 * the model of its controller, then, all optional,
 *
 *   @BUS:SLOT.FUNCTION  where the controller is plugged in; a root needs none,
 *                       another controller has no place yet without it
 *   !BUS:SLOT.FUNCTION  the same, but nothing can share the slot with it
 *   written=N           N devices with addresses that the user wrote are on
 *                       the bus, from its lowest slot on
 *   moving=N            N devices without an address are, because a dry run
 *                       put them there; the buses before are full by then
 *   nohotplug           the bus has no hotplug
 *   group=N             the bus is of isolation group N
 *   locked              the bus cannot change its isolation group
 */

#include <config.h>

#include "testutils.h"
#include "domain_pci_controllers.h"
#include "domain_pci_numbers.h"
#include "domain_pci_plan.h"
#include "domain_pci_topology.h"
#include "virerror.h"
#include "virlog.h"

#define VIR_FROM_THIS VIR_FROM_NONE

VIR_LOG_INIT("tests.domainpcigrowthtest");

#define PCI VIR_PCI_CONNECT_TYPE_PCI_DEVICE
#define PCIE VIR_PCI_CONNECT_TYPE_PCIE_DEVICE
#define ROOT_PORT VIR_PCI_CONNECT_TYPE_PCIE_ROOT_PORT
#define UPSTREAM VIR_PCI_CONNECT_TYPE_PCIE_SWITCH_UPSTREAM_PORT
#define DOWNSTREAM VIR_PCI_CONNECT_TYPE_PCIE_SWITCH_DOWNSTREAM_PORT
#define DMI VIR_PCI_CONNECT_TYPE_DMI_TO_PCI_BRIDGE
#define EXPANDER VIR_PCI_CONNECT_TYPE_PCIE_EXPANDER_BUS
#define BRIDGE VIR_PCI_CONNECT_TYPE_PCI_BRIDGE
#define PCIE_BRIDGE VIR_PCI_CONNECT_TYPE_PCIE_TO_PCI_BRIDGE

#define AUTO VIR_PCI_CONNECT_AUTOASSIGN
#define HOTPLUG VIR_PCI_CONNECT_HOTPLUGGABLE
#define INTEGRATED VIR_PCI_CONNECT_INTEGRATED
#define AGGREGATE VIR_PCI_CONNECT_AGGREGATE_SLOT

#define ENDPOINT VIR_DOMAIN_PCI_ENDPOINT
#define ALL_SLOTS 32

#define PORTS "pcie-root-port pcie-switch-downstream-port pcie-switch-upstream-port "

typedef struct {
    const char *models;    /* in order of preference */
    size_t rootsMax;
    const char *rootBridge;
    const char *nodeHost;
} testRules;

static const testRules q35 = {
    PORTS "pci-bridge pcie-to-pci-bridge", 1, "dmi-to-pci-bridge", "pcie-expander-bus"
};
static const testRules noRootBridge = {
    PORTS "pci-bridge pcie-to-pci-bridge", 1, NULL, NULL
};
static const testRules noSwitch = {
    "pcie-root-port pci-bridge pcie-to-pci-bridge", 1, NULL, NULL
};
static const testRules oldQ35 = {
    PORTS "pci-bridge dmi-to-pci-bridge", 1, "dmi-to-pci-bridge", NULL
};
static const testRules noBridge = { PORTS "pci-bridge", 1, NULL, NULL };
static const testRules i440fx = { "pci-bridge", 1, NULL, "pci-expander-bus" };
static const testRules pseries = { "pci-root pci-bridge", 4, NULL, "pci-root" };


static virDomainControllerModelPCI
testModelFromString(const char *text)
{
    virDomainControllerModelPCI model = 0;

    while (model < VIR_DOMAIN_CONTROLLER_MODEL_PCI_LAST &&
           STRNEQ(text, virDomainControllerModelPCITypeToString(model)))
        model++;

    return model;
}


static virDomainControllerType
testTypeFromString(const char *text)
{
    virDomainControllerType type = 0;

    while (type < VIR_DOMAIN_CONTROLLER_TYPE_LAST &&
           STRNEQ(text, virDomainControllerTypeToString(type)))
        type++;

    return type;
}


/* Address sets do not own their plans; all are freed at the end */
static GPtrArray *testPlans;


static virDomainPCIPlan *
testPlanNew(const testRules *spec)
{
    virDomainPCIPlan *plan = NULL;
    g_auto(GStrv) models = NULL;
    size_t i;

    if (!spec)
        return NULL;

    plan = virDomainPCIPlanNew();
    g_ptr_array_add(testPlans, plan);

    plan->rules.rootsMax = spec->rootsMax;
    plan->rules.rootBridge = VIR_DOMAIN_CONTROLLER_MODEL_PCI_DEFAULT;
    if (spec->rootBridge)
        plan->rules.rootBridge = testModelFromString(spec->rootBridge);

    plan->rules.nodeHost = VIR_DOMAIN_CONTROLLER_MODEL_PCI_DEFAULT;
    if (spec->nodeHost)
        plan->rules.nodeHost = testModelFromString(spec->nodeHost);

    models = g_strsplit(spec->models, " ", 0);
    for (i = 0; models[i]; i++) {
        virDomainPCIGrowthRulesAdd(&plan->rules,
                                   testModelFromString(models[i]));
    }

    return plan;
}


/* What a device of ours has to be to fit on @bus */
static virDomainPCIConnectFlags
testEndpointFlags(const virDomainPCIAddressBus *bus)
{
    return (bus->flags & VIR_PCI_CONNECT_TYPES_ENDPOINT) |
        (bus->flags & VIR_PCI_CONNECT_AUTOASSIGN);
}


static size_t
testBusUsed(const virDomainPCIAddressBus *bus)
{
    size_t used = 0;
    size_t slot;

    for (slot = 0; slot < ALL_SLOTS; slot++)
        used += bus->slot[slot].functions != 0;

    return used;
}


static int
testBusFill(virDomainPCIAddressSet *addrs,
            size_t idx,
            unsigned int count,
            bool moving)
{
    virDomainPCIAddressBus *bus = &addrs->buses[idx];
    size_t before = testBusUsed(bus);
    unsigned int done = 0;
    size_t slot;

    for (slot = bus->minSlot; slot <= bus->maxSlot && done < count; slot++) {
        virPCIDeviceAddress addr = { .bus = idx, .slot = slot };
        virDomainPCISlotRequest req = {
            .flags = testEndpointFlags(bus),
            .model = -1, .node = -1,
            .function = -1,
            .controller = ENDPOINT,
        };
        virDomainDeviceInfo info = { 0 };

        if (virDomainPCIAddressSlotInUse(addrs, &addr))
            continue;

        if (moving) {
            if (virDomainPCIAddressReserveRequest(addrs, &req, &info) < 0)
                return -1;
        } else if (virDomainPCIAddressReserveAddr(addrs, &addr, bus->flags, 0) < 0) {
            return -1;
        }
        done++;
    }

    if (done != count || testBusUsed(bus) != before + count) {
        fprintf(stderr, "bus %zu did not take %u devices\n", idx, count);
        return -1;
    }

    return 0;
}


static int
testAddressParse(const char *text,
                 virPCIDeviceAddress *addr)
{
    char *end;

    if (virStrToLong_ui(text, &end, 10, &addr->bus) < 0 || *end != ':' ||
        virStrToLong_ui(end + 1, &end, 10, &addr->slot) < 0 || *end != '.' ||
        virStrToLong_ui(end + 1, NULL, 10, &addr->function) < 0) {
        fprintf(stderr, "what address is %s?\n", text);
        return -1;
    }

    return 0;
}


static bool
testNumberParse(const char *text,
                const char *name,
                unsigned int *number)
{
    const char *value = STRSKIP(text, name);

    return value && virStrToLong_ui(value, NULL, 10, number) == 0;
}


static virDomainPCIAddressSet *
testTopologyNew(const char *text,
                const testRules *rules)
{
    g_autoptr(virDomainPCIAddressSet) addrs = NULL;
    g_auto(GStrv) buses = g_strsplit(text, ", ", 0);
    size_t nbuses = g_strv_length(buses);
    enum { MODELS, CONTROLLERS, WRITTEN, MOVING, LAST } step;
    size_t i;
    size_t j;

    addrs = virDomainPCIAddressSetAlloc(nbuses, VIR_PCI_ADDRESS_EXTENSION_NONE);
    addrs->dryRun = true;
    addrs->plan = testPlanNew(rules);

    for (step = MODELS; step < LAST; step++) {
        for (i = 0; i < nbuses; i++) {
            virDomainPCIAddressBus *bus = &addrs->buses[i];
            g_auto(GStrv) words = g_strsplit(buses[i], " ", 0);
            virDomainControllerModelPCI model;

            model = testModelFromString(words[0]);
            if (step == MODELS &&
                virDomainPCIAddressBusSetModel(bus, model,
                                               !strstr(buses[i], "nohotplug")) < 0)
                return NULL;

            for (j = 1; words[j]; j++) {
                virPCIDeviceAddress addr = { 0 };
                virDomainPCIConnectFlags flags;
                unsigned int n;

                if (strchr("@!", *words[j])) {
                    if (testAddressParse(words[j] + 1, &addr) < 0)
                        return NULL;
                    if (step != CONTROLLERS)
                        continue;
                    flags = virDomainPCIControllerModelToConnectType(model);
                    if (*words[j] == '!')
                        flags &= ~AGGREGATE;
                    if (virDomainPCIAddressReserveAddr(addrs, &addr, flags, 0) < 0)
                        return NULL;
                    virDomainPCITopologyConnect(addrs, i, addr.bus);
                } else if (testNumberParse(words[j], "written=", &n)) {
                    if (step == WRITTEN && testBusFill(addrs, i, n, false) < 0)
                        return NULL;
                } else if (testNumberParse(words[j], "moving=", &n)) {
                    if (step == MOVING && testBusFill(addrs, i, n, true) < 0)
                        return NULL;
                } else if (testNumberParse(words[j], "group=", &n)) {
                    if (step == MOVING)
                        bus->isolationGroup = n;
                } else if (testNumberParse(words[j], "node=", &n)) {
                    if (step == CONTROLLERS)
                        virDomainPCITopologySetNode(addrs, i, n);
                } else if (testNumberParse(words[j], "busNr=", &n)) {
                    if (step == CONTROLLERS)
                        virDomainPCITopologySetBusNr(addrs, i, n);
                } else if (STREQ(words[j], "locked")) {
                    bus->isolationGroupLocked = true;
                } else if (STRNEQ(words[j], "nohotplug")) {
                    fprintf(stderr, "what is %s?\n", words[j]);
                    return NULL;
                }
            }
        }
    }

    return g_steal_pointer(&addrs);
}


/* pci-root and @count bridges, each in the last slot of the one before; all
 * other slots are in use */
static char *
testTopologyBridges(size_t count)
{
    g_auto(virBuffer) buf = VIR_BUFFER_INITIALIZER;
    size_t i;

    virBufferAddLit(&buf, "pci-root written=30");
    for (i = 0; i < count; i++) {
        virBufferAsprintf(&buf, ", pci-bridge @%zu:31.0 %s", i,
                          i < count - 1 ? "written=30" : "moving=31");
    }

    return virBufferContentAndReset(&buf);
}


/* pcie-root and an expander bus that has @count ports, all in use */
static char *
testTopologyPorts(size_t count)
{
    g_auto(virBuffer) buf = VIR_BUFFER_INITIALIZER;
    size_t i;

    virBufferAddLit(&buf, "pcie-root, pcie-expander-bus @0:1.0");
    for (i = 0; i < count; i++)
        virBufferAsprintf(&buf, ", pcie-root-port @1:%zu.%zu written=1", i / 8, i % 8);

    return virBufferContentAndReset(&buf);
}


static char *
testChainFormat(const virDomainPCIChain *chain)
{
    g_auto(virBuffer) buf = VIR_BUFFER_INITIALIZER;
    size_t i;

    for (i = 0; i < chain->nmodels; i++) {
        if (i > 0)
            virBufferAdd(&buf, i == chain->nlinks ? " | " : " ", -1);
        else if (chain->nlinks == 0)
            virBufferAddLit(&buf, "| ");
        virBufferAdd(&buf, virDomainControllerModelPCITypeToString(chain->models[i]), -1);
    }

    return virBufferContentAndReset(&buf);
}


static int
testExpect(const char *expected,
           const char *actual)
{
    if (STREQ(expected, NULLSTR(actual)))
        return 0;

    fprintf(stderr, "expected: %s\nactual:   %s\n", expected, NULLSTR(actual));
    return -1;
}


/* -- which controllers are added -- */

typedef struct {
    const testRules *rules;
    const char *topology;
    virDomainPCIConnectFlags flags;
    unsigned int isolationGroup;
    int controller;
    const char *connection; /* the user prefers this model */
    const char *chain;      /* NULL: there is none */
    const char *error;      /* what the message of the refusal has in it */
} testPlanData;

static int
testPlan(const void *opaque)
{
    const testPlanData *data = opaque;
    g_autoptr(virDomainPCIAddressSet) addrs = NULL;
    g_autofree char *actual = NULL;
    virDomainDeviceInfo info = { 0 };
    virDomainPCISlotRequest req = {
        .flags = data->flags,
        .isolationGroup = data->isolationGroup,
        .model = -1, .node = -1,
        .function = -1,
        .controller = data->controller,
        .info = &info,
    };
    virDomainPCIChain chain = { 0 };
    virPCIDeviceAddress addr = { 0 };
    size_t nbuses;

    if (data->connection)
        req.model = testModelFromString(data->connection);

    if (!(addrs = testTopologyNew(data->topology, data->rules)))
        return -1;

    if (virDomainPCITopologyFindSlot(addrs, &req, &addr)) {
        fprintf(stderr, "there is a slot already\n");
        return -1;
    }

    if (virDomainPCIGrowthPlanSlot(addrs, &req, &chain))
        actual = testChainFormat(&chain);
    if (testExpect(NULLSTR(data->chain), actual) < 0)
        return -1;

    /* what was planned leads to a slot, what was not is refused in words */
    nbuses = addrs->nbuses;
    virResetLastError();
    if (virDomainPCIAddressReserveRequest(addrs, &req, &info) < 0) {
        if (data->chain || !strstr(virGetLastErrorMessage(), data->error)) {
            fprintf(stderr, "%s\n", virGetLastErrorMessage());
            return -1;
        }
        if (addrs->nbuses != nbuses) {
            fprintf(stderr, "buses were added all the same\n");
            return -1;
        }
    } else if (!data->chain) {
        fprintf(stderr, "expected to be refused\n");
        return -1;
    }

    return 0;
}


/* -- which controllers lead to an address that the user wrote -- */

typedef struct {
    const testRules *rules;
    const char *topology;
    unsigned int bus;
    unsigned int slot;
    virDomainPCIConnectFlags flags;
    const char *chain;
} testPlanBusData;

static int
testPlanBus(const void *opaque)
{
    const testPlanBusData *data = opaque;
    g_autoptr(virDomainPCIAddressSet) addrs = NULL;
    g_autofree char *actual = NULL;
    virPCIDeviceAddress addr = { .bus = data->bus, .slot = data->slot };
    virDomainPCIChain chain = { 0 };
    size_t nbuses;

    if (!(addrs = testTopologyNew(data->topology, data->rules)))
        return -1;

    nbuses = addrs->nbuses;
    if (virDomainPCIGrowthPlanBus(addrs, &addr, data->flags, &chain))
        actual = testChainFormat(&chain);
    if (testExpect(NULLSTR(data->chain), actual) < 0)
        return -1;

    if (!data->chain)
        return 0;

    if (virDomainPCIGrowthAdd(addrs, &chain, true) < 0 ||
        virDomainPCIAddressReserveAddr(addrs, &addr, data->flags, 0) < 0) {
        fprintf(stderr, "%s\n", virGetLastErrorMessage());
        return -1;
    }

    if (addrs->nbuses != nbuses + chain.nmodels) {
        fprintf(stderr, "there are %zu buses\n", addrs->nbuses);
        return -1;
    }

    return 0;
}


/* -- which slot is found -- */

typedef struct {
    const char *topology;
    virDomainPCIConnectFlags flags;
    unsigned int isolationGroup;
    int function;
    int controller;
    const char *address;
} testFindData;

static int
testFind(const void *opaque)
{
    const testFindData *data = opaque;
    g_autoptr(virDomainPCIAddressSet) addrs = NULL;
    g_autofree char *actual = NULL;
    virDomainPCISlotRequest req = {
        .model = -1, .node = -1,
        .flags = data->flags,
        .isolationGroup = data->isolationGroup,
        .function = data->function,
        .controller = data->controller,
    };
    virPCIDeviceAddress addr = { 0 };

    if (!(addrs = testTopologyNew(data->topology, NULL)))
        return -1;

    if (virDomainPCITopologyFindSlot(addrs, &req, &addr))
        actual = g_strdup_printf("%u:%u.%u", addr.bus, addr.slot, addr.function);

    return testExpect(NULLSTR(data->address), actual);
}


/* Is @address, "bus:slot" or NULL, what is found for @req? */
static int
testFound(virDomainPCIAddressSet *addrs,
          const virDomainPCISlotRequest *req,
          const char *address)
{
    g_autofree char *actual = NULL;
    virPCIDeviceAddress addr = { 0 };

    if (virDomainPCITopologyFindSlot(addrs, req, &addr))
        actual = g_strdup_printf("%u:%u", addr.bus, addr.slot);

    return testExpect(NULLSTR(address), actual);
}


/* -- windows -- */

/* "mem=4 pref64=8 io=0", in KiB */
static void
testWindowsNew(const char *text,
               virDomainPCIWindows *windows)
{
    static const char *names[] = { "mem=", "pref64=", "io=" };
    g_auto(GStrv) words = g_strsplit(text, " ", 0);
    size_t i;
    size_t j;

    memset(windows, 0, sizeof(*windows));

    for (i = 0; words[i]; i++) {
        for (j = 0; j < VIR_DOMAIN_PCI_WINDOW_LAST; j++) {
            if (STRPREFIX(words[i], names[j])) {
                windows->given[j] = true;
                windows->kib[j] = g_ascii_strtoull(words[i] + strlen(names[j]), NULL, 10);
            }
        }
    }
}


static char *
testWindowsFormat(const virDomainPCIWindows *windows)
{
    g_auto(virBuffer) buf = VIR_BUFFER_INITIALIZER;
    virDomainPCIControllerOpts opts = { 0 };

    virDomainPCIWindowsSet(&opts, windows);
    virDomainPCITargetFormat(&buf, &opts, VIR_DOMAIN_PCI_WINDOW_MEM);
    return virBufferContentAndReset(&buf);
}


typedef struct {
    const char *topology;
    const char *windows[4];     /* of the buses from 1 on */
    const char *needs;          /* of the device */
    virDomainPCIConnectFlags flags;
    bool thrifty;
    bool io;
    const char *address;        /* that is found; NULL: none */
    size_t nslots;              /* if there is none: how many are wanted */
    const char *chain;          /* what is added then, and its windows */
    const char *added;
    const char *promised;       /* what a slot has that was promised before */
} testWindowsData;

static int
testWindows(const void *opaque)
{
    const testWindowsData *data = opaque;
    g_autoptr(virDomainPCIAddressSet) addrs = NULL;
    g_autofree char *added = NULL;
    g_autofree char *models = NULL;
    virDomainPCISlotRequest req = {
        .model = -1, .node = -1, .function = -1, .controller = VIR_DOMAIN_PCI_ENDPOINT,
        .flags = data->flags, .thrifty = data->thrifty, .io = data->io,
        .nslots = data->nslots,
    };
    virDomainPCIChain chain = { 0 };
    virPCIDeviceAddress addr = { 0 };
    virDomainDeviceInfo info = { 0 };
    size_t i;

    if (!(addrs = testTopologyNew(data->topology, &q35)))
        return -1;

    addrs->plan->rules.windows = 1 << VIR_DOMAIN_CONTROLLER_MODEL_PCI_BRIDGE |
        1 << VIR_DOMAIN_CONTROLLER_MODEL_PCIE_ROOT_PORT;

    for (i = 0; i < G_N_ELEMENTS(data->windows) && data->windows[i]; i++) {
        virDomainPCIWindows windows;

        testWindowsNew(data->windows[i], &windows);
        virDomainPCITopologySetWindows(addrs, i + 1, &windows);
    }

    if (data->promised) {
        testWindowsNew(data->promised, &req.windows);
        if (virDomainPCIAddressReserveRequest(addrs, &req, &info) < 0)
            return -1;
    }

    testWindowsNew(data->needs, &req.windows);

    if (testFound(addrs, &req, data->address) < 0)
        return -1;

    if (data->address)
        return 0;

    if (virDomainPCIGrowthPlanSlot(addrs, &req, &chain)) {
        models = testChainFormat(&chain);
        added = testWindowsFormat(&chain.windows);
    }

    if (testExpect(NULLSTR(data->chain), models) < 0 ||
        testExpect(NULLSTR(data->added), added) < 0)
        return -1;

    /* what was added does */
    if (data->chain &&
        (virDomainPCIGrowthAdd(addrs, &chain, false) < 0 ||
         !virDomainPCITopologyFindSlot(addrs, &req, &addr) ||
         addr.bus != addrs->nbuses - 1)) {
        fprintf(stderr, "the slot is not found in what was added\n");
        return -1;
    }

    return 0;
}


/* A device leaves the port that was added for a promise alone as long as another
 * can be added; what is kept free may have it */
static int
testSparing(const void *opaque G_GNUC_UNUSED)
{
    const char *topology = "pcie-root, pcie-root-port @0:1.0";
    g_autoptr(virDomainPCIAddressSet) addrs = NULL;
    virDomainPCISlotRequest device = {
        .flags = PCIE | AUTO, .model = -1, .node = -1, .function = -1, .controller = ENDPOINT,
    };
    virDomainPCISlotRequest spare;
    virDomainDeviceInfo info = { 0 };

    virDomainPCISlotRequestInitFree(&spare, PCIE);

    if (!(addrs = testTopologyNew(topology, &q35)))
        return -1;
    addrs->plan->thrifty = true;
    ignore_value(virBitmapSetBit(addrs->plan->windowed, 1));

    if (virDomainPCIAddressReserveRequest(addrs, &device, &info) < 0)
        return -1;
    if (addrs->nbuses != 3 || testBusUsed(&addrs->buses[1]) != 0)
        return testExpect("a port of its own", "the promised one");

    if (virDomainPCIAddressReserveRequest(addrs, &spare, &info) < 0)
        return -1;
    if (addrs->nbuses != 3 || testBusUsed(&addrs->buses[1]) != 1)
        return testExpect("the promised port", "another");

    g_clear_pointer(&addrs, virDomainPCIAddressSetFree);
    if (!(addrs = testTopologyNew(topology, &q35)))
        return -1;
    addrs->plan->thrifty = true;
    addrs->dryRun = false;
    ignore_value(virBitmapSetBit(addrs->plan->windowed, 1));

    if (virDomainPCIAddressReserveRequest(addrs, &device, &info) < 0)
        return -1;
    if (info.addr.pci.bus != 1)
        return testExpect("the only port", "another");

    return 0;
}


/* -- windows that the guest knows -- */

typedef struct {
    const char *from;   /* attributes of the <target> of a bridge */
    const char *to;     /* those of the definition that is to take its place */
    bool stable;
} testStabilityData;

static virDomainDef *
testBridgeNew(const char *target,
              virDomainXMLOption *xmlopt)
{
    g_autofree char *xml = NULL;

    xml = g_strdup_printf("<domain type='kvm'><name>g</name>"
                          "<uuid>00000000-0000-4000-8000-000000000001</uuid>"
                          "<memory>65536</memory>"
                          "<os><type arch='x86_64' machine='pc'>hvm</type></os>"
                          "<devices><controller type='pci' index='0' model='pci-root'/>"
                          "<controller type='pci' index='1' model='pci-bridge'>"
                          "<target chassisNr='1' %s/></controller></devices></domain>",
                          target);

    return virDomainDefParseString(xml, xmlopt, NULL, VIR_DOMAIN_DEF_PARSE_INACTIVE);
}

static int
testStability(const void *opaque)
{
    const testStabilityData *data = opaque;
    g_autoptr(virDomainXMLOption) xmlopt = virTestGenericDomainXMLConfInit();
    g_autoptr(virDomainDef) from = testBridgeNew(data->from, xmlopt);
    g_autoptr(virDomainDef) to = testBridgeNew(data->to, xmlopt);
    bool stable;

    if (!from || !to)
        return -1;

    virResetLastError();
    stable = virDomainDefCheckABIStability(from, to, xmlopt);
    if (testExpect(data->stable ? "the same" : "another", stable ? "the same" : "another") < 0)
        return -1;

    if (data->stable)
        return 0;

    if (virGetLastErrorCode() != VIR_ERR_CONFIG_UNSUPPORTED ||
        !strstr(virGetLastErrorMessage(),
                "PCI controller index='1' has other 'memReserve', 'pref64Reserve' or 'ioReserve'")) {
        fprintf(stderr, "%s\n", virGetLastErrorMessage());
        return -1;
    }

    return 0;
}


/* -- what reaches the root -- */

typedef struct {
    const char *topology;
    size_t bus;
    int without;
    bool reaches;
} testReachData;

static int
testReach(const void *opaque)
{
    const testReachData *data = opaque;
    g_autoptr(virDomainPCIAddressSet) addrs = NULL;

    if (!(addrs = testTopologyNew(data->topology, NULL)))
        return -1;

    return testExpect(data->reaches ? "yes" : "no",
                      virDomainPCITopologyReachesRoot(addrs, data->bus, data->without) ?
                      "yes" : "no");
}


/* -- which controllers wait for others -- */

typedef struct {
    const char *topology;
    size_t idx;         /* of the controller whose turn it is */
    const char *result;
} testWaitData;

static int
testWait(const void *opaque)
{
    const testWaitData *data = opaque;
    g_autoptr(virDomainPCIAddressSet) addrs = NULL;
    g_autoptr(virDomainControllerDef) cont = NULL;
    size_t before;
    size_t used;

    if (!(addrs = testTopologyNew(data->topology, &q35)))
        return -1;

    addrs->dryRun = true;
    before = addrs->nbuses;
    used = testBusUsed(&addrs->buses[0]);
    cont = virDomainControllerDefNew(VIR_DOMAIN_CONTROLLER_TYPE_PCI);
    cont->model = addrs->buses[data->idx].model;
    cont->idx = data->idx;
    cont->info.pciConnectFlags = virDomainPCIControllerModelToConnectType(cont->model);

    if (virDomainPCIPlanReserveController(addrs, cont) < 0)
        return -1;

    return testExpect(data->result,
                      addrs->nbuses > before ? "adds" :
                      testBusUsed(&addrs->buses[0]) > used ? "has a place" : "waits");
}


/* -- whether there is a place for one controller more -- */

typedef struct {
    const char *topology;
    virDomainPCIConnectFlags type;
    int without;
    bool displace;
    bool can;
} testHoldData;

static int
testHold(const void *opaque)
{
    const testHoldData *data = opaque;
    g_autoptr(virDomainPCIAddressSet) addrs = NULL;
    virDomainPCISlotRequest req = { .node = -1, .controller = data->without };

    if (!(addrs = testTopologyNew(data->topology, NULL)))
        return -1;

    return testExpect(data->can ? "yes" : "no",
                      virDomainPCITopologyCanHold(addrs, data->type, &req, data->displace) ?
                      "yes" : "no");
}


static const virDomainPCISlotRequest anywhere = { .node = -1, .controller = ENDPOINT };


/* A slot is only taken for its device until that is gone again */
static int
testRelease(const void *opaque G_GNUC_UNUSED)
{
    g_autoptr(virDomainPCIAddressSet) addrs = NULL;
    virPCIDeviceAddress addr = { .bus = 0, .slot = 31 };

    if (!(addrs = testTopologyNew("pci-root moving=31", NULL)))
        return -1;

    if (virDomainPCITopologyCanHold(addrs, BRIDGE, &anywhere, false) ||
        !virDomainPCITopologyCanHold(addrs, BRIDGE, &anywhere, true))
        return testExpect("only by displacing", "otherwise");

    virDomainPCIAddressReleaseAddr(addrs, &addr);
    if (!virDomainPCITopologyCanHold(addrs, BRIDGE, &anywhere, false))
        return testExpect("the free slot", "no slot");

    if (virDomainPCIAddressReserveAddr(addrs, &addr, PCI, 0) < 0)
        return -1;

    if (virDomainPCITopologyCanHold(addrs, BRIDGE, &anywhere, false))
        return testExpect("no free slot", "a slot");

    /* 30 devices may still move, the one in slot 31 must not */
    for (addr.slot = 1; addr.slot < 31; addr.slot++) {
        virDomainPCIAddressReleaseAddr(addrs, &addr);
        if (virDomainPCIAddressReserveAddr(addrs, &addr, PCI, 0) < 0)
            return -1;
    }

    if (virDomainPCITopologyCanHold(addrs, BRIDGE, &anywhere, true))
        return testExpect("nothing to displace", "a slot");

    return 0;
}


/* Only on a dry run may devices move, and integrated ones never */
static int
testMoves(const void *opaque G_GNUC_UNUSED)
{
    g_autoptr(virDomainPCIAddressSet) addrs = NULL;
    virDomainPCISlotRequest req = { .model = -1, .node = -1, .function = -1, .controller = ENDPOINT };
    virDomainDeviceInfo info = { 0 };

    if (!(addrs = testTopologyNew("pci-root written=30", NULL)))
        return -1;
    addrs->dryRun = false;
    req.flags = PCI | AUTO;
    if (virDomainPCIAddressReserveRequest(addrs, &req, &info) < 0)
        return -1;
    if (info.type != VIR_DOMAIN_DEVICE_ADDRESS_TYPE_PCI || info.addr.pci.slot != 31)
        return testExpect("slot 31", "another");
    if (virDomainPCITopologyCanHold(addrs, BRIDGE, &anywhere, true))
        return testExpect("a given address stays", "it does not");

    g_clear_pointer(&addrs, virDomainPCIAddressSetFree);
    if (!(addrs = testTopologyNew("pci-root written=30", NULL)))
        return -1;
    req.flags = PCI | AUTO | INTEGRATED;
    info.type = VIR_DOMAIN_DEVICE_ADDRESS_TYPE_NONE;
    if (virDomainPCIAddressReserveRequest(addrs, &req, &info) < 0)
        return -1;
    if (info.type != VIR_DOMAIN_DEVICE_ADDRESS_TYPE_NONE)
        return testExpect("no address from a dry run", "an address");
    if (virDomainPCITopologyCanHold(addrs, BRIDGE, &anywhere, true))
        return testExpect("an integrated device stays", "it does not");

    return 0;
}


/* A part of the chipset may be conventional on pcie-root, but sits on no other
 * bus; one that is PCI Express does not sit on pci-root */
static int
testIntegrated(const void *opaque G_GNUC_UNUSED)
{
    g_autoptr(virDomainPCIAddressSet) addrs = NULL;
    virDomainPCISlotRequest req = {
        .model = -1, .node = -1,
        .flags = PCI | AUTO | INTEGRATED, .function = -1, .controller = ENDPOINT,
    };
    virPCIDeviceAddress addr = { 0 };

    if (!(addrs = testTopologyNew("pcie-root, pcie-root-port @0:1.0", NULL)))
        return -1;
    if (!virDomainPCITopologyFindSlot(addrs, &req, &addr) || addr.bus != 0)
        return testExpect("a slot of pcie-root", "none");
    req.flags = PCI | AUTO;
    if (virDomainPCITopologyFindSlot(addrs, &req, &addr))
        return testExpect("no slot without INTEGRATED", "one");

    g_clear_pointer(&addrs, virDomainPCIAddressSetFree);
    if (!(addrs = testTopologyNew("pci-root", NULL)))
        return -1;
    req.flags = PCIE | AUTO | INTEGRATED;
    if (virDomainPCITopologyFindSlot(addrs, &req, &addr))
        return testExpect("no PCI Express slot of pci-root", "one");

    return 0;
}


/* The controllers of a chain get their places if no device competes for them */
static int
testSettle(const void *opaque G_GNUC_UNUSED)
{
    g_autoptr(virDomainPCIAddressSet) addrs = NULL;
    virPCIDeviceAddress addr = { 0 };
    virDomainPCISlotRequest req = {
        .flags = PCI | AUTO,
        .model = -1, .node = -1,
        .function = -1,
        .controller = ENDPOINT,
    };
    virDomainPCIChain chain = { 0 };

    if (!(addrs = testTopologyNew("pcie-root", &q35)) ||
        !virDomainPCIGrowthPlanSlot(addrs, &req, &chain) ||
        virDomainPCIGrowthAdd(addrs, &chain, false) < 0)
        return -1;

    /* the root port on the root, the bridge on the port, for the device */
    addr.slot = 1;
    if (!virDomainPCIAddressSlotInUse(addrs, &addr) ||
        testBusUsed(&addrs->buses[0]) != 1 ||
        testBusUsed(&addrs->buses[1]) != 1 ||
        testBusUsed(&addrs->buses[2]) != 0)
        return testExpect("two controllers placed", "other slots");

    g_clear_pointer(&addrs, virDomainPCIAddressSetFree);
    if (!(addrs = testTopologyNew("pci-root moving=31", &i440fx)) ||
        !virDomainPCIGrowthPlanSlot(addrs, &req, &chain) ||
        virDomainPCIGrowthAdd(addrs, &chain, false) < 0)
        return -1;

    /* the slot of the bridge is owed */
    if (testBusUsed(&addrs->buses[0]) != 31 ||
        testBusUsed(&addrs->buses[1]) != 0 ||
        !virDomainPCITopologyFindSlot(addrs, &req, &addr) ||
        addr.bus != 1 || addr.slot != 1)
        return testExpect("the first slot of the bridge", "another");

    return 0;
}


/* -- the controllers of a definition -- */

typedef struct {
    /* "INDEX MODEL BUS:SLOT.FUNCTION", the address may be missing; any other
     * type of controller than PCI stands alone */
    const char *controllers;
    const char *order;      /* indexes, and types of the others */
    const char *error;      /* what is refused */
} testOrderData;

/* A definition that has just these controllers, NULL if they are misspelt */
static virDomainDef *
testDefNew(const char *text)
{
    g_autoptr(virDomainXMLOption) xmlopt = NULL;
    g_autoptr(virDomainDef) def = NULL;
    g_auto(GStrv) controllers = g_strsplit(text, ", ", 0);
    size_t i;

    xmlopt = virDomainXMLOptionNew(NULL, NULL, NULL, NULL, NULL, NULL);
    def = virDomainDefNew(xmlopt);

    for (i = 0; controllers[i]; i++) {
        g_auto(GStrv) words = g_strsplit(controllers[i], " ", 0);
        virDomainControllerDef *cont;

        cont = virDomainControllerDefNew(words[1] ? VIR_DOMAIN_CONTROLLER_TYPE_PCI :
                                         testTypeFromString(words[0]));
        /* newer releases would sort what is added by a function */
        def->controllers = g_renew(virDomainControllerDef *, def->controllers,
                                   def->ncontrollers + 1);
        def->controllers[def->ncontrollers++] = cont;
        cont->idx = 0;

        if (!words[1])
            continue;

        if (virStrToLong_i(words[0], NULL, 10, &cont->idx) < 0)
            return NULL;
        cont->model = testModelFromString(words[1]);

        if (words[2]) {
            if (testAddressParse(words[2], &cont->info.addr.pci) < 0)
                return NULL;
            cont->info.type = VIR_DOMAIN_DEVICE_ADDRESS_TYPE_PCI;
        }
    }

    return g_steal_pointer(&def);
}

static int
testOrder(const void *opaque)
{
    const testOrderData *data = opaque;
    g_autoptr(virDomainDef) def = testDefNew(data->controllers);
    g_autofree virDomainControllerDef **order = NULL;
    g_autofree char *actual = NULL;
    g_auto(virBuffer) buf = VIR_BUFFER_INITIALIZER;
    size_t i;

    if (!def)
        return -1;

    order = virDomainPCIControllersOrder(def);
    for (i = 0; i < def->ncontrollers; i++) {
        if (order[i]->type == VIR_DOMAIN_CONTROLLER_TYPE_PCI)
            virBufferAsprintf(&buf, "%d ", order[i]->idx);
        else
            virBufferAsprintf(&buf, "%s ", virDomainControllerTypeToString(order[i]->type));
    }
    virBufferTrim(&buf, " ");
    actual = virBufferContentAndReset(&buf);
    if (testExpect(data->order, actual) < 0)
        return -1;

    virResetLastError();
    if (virDomainPCIControllersCheck(def) < 0) {
        if (data->error && strstr(virGetLastErrorMessage(), data->error))
            return 0;
        return testExpect(NULLSTR(data->error), virGetLastErrorMessage());
    }

    return testExpect("<null>", NULLSTR(data->error));
}


/* -- how many bus numbers an expander bus takes -- */

typedef struct {
    const char *topology;
    size_t expander;
    int numbers;
} testNumbersData;

static int
testNumbers(const void *opaque)
{
    const testNumbersData *data = opaque;
    g_autoptr(virDomainPCIAddressSet) addrs = NULL;
    int actual;

    if (!(addrs = testTopologyNew(data->topology, NULL)))
        return -1;

    actual = virDomainPCINumbersNeeded(addrs, data->expander);
    if (actual == data->numbers)
        return 0;

    fprintf(stderr, "expected: %d\nactual:   %d\n", data->numbers, actual);
    return -1;
}


/* -- what is near a NUMA node -- */

typedef struct {
    const testRules *rules;
    const char *topology;
    int node;
    virDomainPCIConnectFlags flags;
    bool thrifty;
    const char *model;      /* that is asked for; NULL: any */
    const char *address;    /* that is found; NULL: none */
    const char *chain;      /* what is added then; NULL: nothing */
} testNodesData;

static int
testNodes(const void *opaque)
{
    const testNodesData *data = opaque;
    g_autoptr(virDomainPCIAddressSet) addrs = NULL;
    g_autofree char *models = NULL;
    virDomainPCISlotRequest req = {
        .model = -1, .node = data->node, .function = -1, .controller = VIR_DOMAIN_PCI_ENDPOINT,
        .flags = data->flags | AUTO, .thrifty = data->thrifty,
    };
    virDomainPCIChain chain = { 0 };
    virPCIDeviceAddress addr = { 0 };

    if (!(addrs = testTopologyNew(data->topology, data->rules)))
        return -1;

    if (data->model)
        req.model = testModelFromString(data->model);

    if (testFound(addrs, &req, data->address) < 0)
        return -1;

    if (data->address)
        return 0;

    if (virDomainPCIGrowthPlanSlot(addrs, &req, &chain))
        models = testChainFormat(&chain);
    if (testExpect(NULLSTR(data->chain), models) < 0)
        return -1;

    /* what was added has the node, whether or not it has its place yet */
    if (data->chain &&
        (virDomainPCIGrowthAdd(addrs, &chain, false) < 0 ||
         !virDomainPCITopologyFindSlot(addrs, &req, &addr) ||
         addr.bus != addrs->nbuses - 1 ||
         virDomainPCITopologyGetNode(addrs, addr.bus) != data->node)) {
        fprintf(stderr, "the slot is not found in what was added\n");
        return -1;
    }

    return 0;
}


/* -- what a model is -- */

static int
testModels(const void *opaque G_GNUC_UNUSED)
{
    const struct {
        virDomainControllerModelPCI model;
        virDomainPCIConnectFlags offers; /* to devices libvirt places itself */
        bool multiplies;
    } facts[] = {
        { VIR_DOMAIN_CONTROLLER_MODEL_PCI_ROOT, PCI, true },
        { VIR_DOMAIN_CONTROLLER_MODEL_PCIE_ROOT, 0, true },
        { VIR_DOMAIN_CONTROLLER_MODEL_PCI_BRIDGE, PCI, true },
        { VIR_DOMAIN_CONTROLLER_MODEL_DMI_TO_PCI_BRIDGE, 0, true },
        { VIR_DOMAIN_CONTROLLER_MODEL_PCIE_TO_PCI_BRIDGE, PCI, true },
        { VIR_DOMAIN_CONTROLLER_MODEL_PCIE_ROOT_PORT, PCIE, false },
        { VIR_DOMAIN_CONTROLLER_MODEL_PCIE_SWITCH_UPSTREAM_PORT, 0, true },
        { VIR_DOMAIN_CONTROLLER_MODEL_PCIE_SWITCH_DOWNSTREAM_PORT, PCIE, false },
        { VIR_DOMAIN_CONTROLLER_MODEL_PCI_EXPANDER_BUS, PCI, true },
        { VIR_DOMAIN_CONTROLLER_MODEL_PCIE_EXPANDER_BUS, 0, true },
    };
    size_t i;

    G_STATIC_ASSERT(G_N_ELEMENTS(facts) == VIR_DOMAIN_CONTROLLER_MODEL_PCI_LAST);

    for (i = 0; i < G_N_ELEMENTS(facts); i++) {
        virDomainControllerModelPCI model = facts[i].model;

        if (virDomainPCIModelOffers(model, PCI | AUTO) != !!(facts[i].offers & PCI) ||
            virDomainPCIModelOffers(model, PCIE | AUTO) != !!(facts[i].offers & PCIE) ||
            virDomainPCIModelOffers(model, PCI | INTEGRATED) ||
            virDomainPCIModelMultiplies(model) != facts[i].multiplies) {
            fprintf(stderr, "%s is not what it should be\n",
                    virDomainControllerModelPCITypeToString(model));
            return -1;
        }
    }

    return 0;
}


/* -- against a model that looks at every function of every slot -- */

#define MODEL_TOPOLOGIES 4000
#define MODEL_STEPS 25
#define MODEL_BUSES 10
#define MODEL_BUSES_MAX 24

typedef struct {
    virDomainPCIAddressSet *addrs;
    int parent[MODEL_BUSES_MAX];   /* -1: no place yet */
    bool movable[MODEL_BUSES_MAX][ALL_SLOTS];
} testModel;

static bool
testModelIsRoot(const testModel *model,
                size_t bus)
{
    return model->addrs->buses[bus].model == VIR_DOMAIN_CONTROLLER_MODEL_PCI_ROOT ||
        model->addrs->buses[bus].model == VIR_DOMAIN_CONTROLLER_MODEL_PCIE_ROOT;
}

static bool
testModelHasRoom(const testModel *model,
                 size_t idx)
{
    const virDomainPCIAddressBus *bus = &model->addrs->buses[idx];
    size_t slot;

    for (slot = bus->minSlot; slot <= bus->maxSlot; slot++) {
        uint8_t functions = bus->slot[slot].functions;

        if (!functions || model->movable[idx][slot] ||
            (bus->slot[slot].aggregate && functions != 0xff))
            return true;
    }

    return false;
}

/* All buses that reach a root without the controller @without */
static void
testModelReach(const testModel *model,
               int without,
               bool *reached)
{
    size_t nbuses = model->addrs->nbuses;
    bool changed = true;
    size_t i;
    size_t j;

    for (i = 0; i < nbuses; i++)
        reached[i] = (int)i != without && testModelIsRoot(model, i);

    while (changed) {
        changed = false;

        for (i = 0; i < nbuses; i++) {
            virDomainPCIConnectFlags plug =
                virDomainPCIControllerModelToConnectType(model->addrs->buses[i].model) &
                VIR_PCI_CONNECT_TYPES_MASK;

            if (reached[i] || (int)i == without)
                continue;

            for (j = 0; j < nbuses; j++) {
                if (reached[j] &&
                    (model->parent[i] == (int)j ||
                     (model->parent[i] < 0 && testModelHasRoom(model, j) &&
                      plug & model->addrs->buses[j].flags)))
                    reached[i] = changed = true;
            }
        }
    }
}

static bool
testModelTakes(const testModel *model,
               size_t idx,
               const virDomainPCISlotRequest *req,
               const bool *reached,
               bool adopt)
{
    const virDomainPCIAddressBus *bus = &model->addrs->buses[idx];

    if (req->controller != ENDPOINT && !reached[idx])
        return false;
    if (adopt && (bus->isolationGroupLocked || testBusUsed(bus) > 0))
        return false;
    if (!adopt && bus->isolationGroup != req->isolationGroup)
        return false;
    if (req->flags & INTEGRATED && idx > 0)
        return false;
    if (req->flags & AUTO && !(req->flags & INTEGRATED) && !(bus->flags & AUTO))
        return false;
    if (req->flags & HOTPLUG && !(bus->flags & HOTPLUG))
        return false;

    /* what is part of the chipset may be conventional on pcie-root */
    if (req->flags & INTEGRATED && req->flags & PCI && bus->flags & PCIE)
        return true;

    return req->flags & bus->flags & VIR_PCI_CONNECT_TYPES_MASK;
}

static bool
testModelFind(const testModel *model,
              const virDomainPCISlotRequest *req,
              virPCIDeviceAddress *addr)
{
    bool reached[MODEL_BUSES_MAX] = { 0 };
    int adopt;
    size_t b;
    size_t slot;
    unsigned int function;

    if (req->controller != ENDPOINT)
        testModelReach(model, req->controller, reached);

    for (adopt = 0; adopt <= 1; adopt++) {
        for (b = 0; b < model->addrs->nbuses; b++) {
            const virDomainPCIAddressBus *bus = &model->addrs->buses[b];

            if (!testModelTakes(model, b, req, reached, adopt))
                continue;

            for (slot = bus->minSlot; slot <= bus->maxSlot; slot++) {
                uint8_t used = bus->slot[slot].functions;

                if (used && (!(req->flags & AGGREGATE) || !bus->slot[slot].aggregate))
                    continue;

                for (function = 0; function < 8; function++) {
                    if (used & (1 << function) ||
                        (req->function != -1 && req->function != (int)function))
                        continue;

                    addr->bus = b;
                    addr->slot = slot;
                    addr->function = function;
                    return true;
                }
            }
        }
    }

    return false;
}

static size_t
testRandom(GRand *rand,
           size_t below)
{
    return g_rand_int_range(rand, 0, below);
}

static void
testModelRequest(testModel *model,
                 GRand *rand,
                 virDomainPCISlotRequest *req)
{
    const virDomainPCIConnectFlags types[] = {
        PCI, PCIE, PCI | PCIE, ROOT_PORT | AGGREGATE, UPSTREAM, DOWNSTREAM, DMI,
        EXPANDER, BRIDGE, PCIE_BRIDGE, PCIE | AGGREGATE, PCI | AGGREGATE,
        VIR_PCI_CONNECT_TYPE_PCI_EXPANDER_BUS,
    };
    virDomainPCIConnectFlags type;

    memset(req, 0, sizeof(*req));
    req->model = -1;
    req->node = -1;
    req->function = -1;
    req->controller = ENDPOINT;

    if (testRandom(rand, 3) == 0) {
        req->controller = testRandom(rand, model->addrs->nbuses);
        type = virDomainPCIControllerModelToConnectType(model->addrs->buses[req->controller].model);
        if (testModelIsRoot(model, req->controller))
            type = BRIDGE;
        req->flags = type;
        return;
    }

    req->flags = types[testRandom(rand, G_N_ELEMENTS(types))];
    if (testRandom(rand, 4) > 0)
        req->flags |= AUTO;
    if (testRandom(rand, 4) == 0)
        req->flags |= HOTPLUG;
    if (testRandom(rand, 8) == 0)
        req->flags |= INTEGRATED;
    if (testRandom(rand, 4) == 0)
        req->isolationGroup = testRandom(rand, 3);
    if (testRandom(rand, 4) == 0)
        req->function = testRandom(rand, 8);
}

/* One change: an address is reserved, or released, or buses are added */
static int
testModelChange(testModel *model,
                GRand *rand)
{
    virDomainPCIAddressSet *addrs = model->addrs;
    size_t b = testRandom(rand, addrs->nbuses);
    virDomainPCIAddressBus *bus = &addrs->buses[b];
    virPCIDeviceAddress addr = {
        .bus = b,
        .slot = bus->minSlot + testRandom(rand, bus->maxSlot - bus->minSlot + 1),
        .function = testRandom(rand, 3) ? 0 : testRandom(rand, 8),
    };
    virDomainPCISlotRequest req;
    virDomainDeviceInfo info = { 0 };
    virPCIDeviceAddress found = { 0 };
    uint8_t functions = bus->slot[addr.slot].functions;
    virDomainPCIChain chain = { 0 };
    size_t count;

    switch (testRandom(rand, 5)) {
    case 0: /* an address that the user wrote */
        if (!(functions & (1 << addr.function)) && !model->movable[b][addr.slot]) {
            virDomainPCIConnectFlags flags = bus->flags & VIR_PCI_CONNECT_TYPES_MASK;

            if (testRandom(rand, 2))
                flags |= AGGREGATE;
            return virDomainPCIAddressReserveAddr(addrs, &addr, flags,
                                                  testRandom(rand, 3));
        }
        return 0;

    case 1: /* nearly all of a bus */
        for (addr.slot = bus->minSlot; addr.slot <= bus->maxSlot; addr.slot++) {
            addr.function = 0;
            if (bus->slot[addr.slot].functions || testRandom(rand, 20) == 0)
                continue;
            if (virDomainPCIAddressReserveAddr(addrs, &addr, bus->flags, 0) < 0)
                return -1;
        }
        return 0;

    case 2: /* a device is gone */
        if (functions & (1 << addr.function)) {
            virDomainPCIAddressReleaseAddr(addrs, &addr);
            if (!bus->slot[addr.slot].functions)
                model->movable[b][addr.slot] = false;
        }
        return 0;

    case 3: /* a device or a controller without an address */
        testModelRequest(model, rand, &req);
        if (!testModelFind(model, &req, &found) ||
            (req.controller != ENDPOINT && model->parent[req.controller] >= 0))
            return 0;
        if (virDomainPCIAddressReserveRequest(addrs, &req, &info) < 0)
            return -1;
        if (req.controller != ENDPOINT)
            model->parent[req.controller] = found.bus;
        else if (addrs->dryRun && !(req.flags & INTEGRATED))
            model->movable[found.bus][found.slot] = true;
        return 0;

    default: /* more buses, not connected to anything */
        if (addrs->nbuses > MODEL_BUSES_MAX - 2)
            return 0;
        count = 1 + testRandom(rand, 2);
        while (count--) {
            chain.models[chain.nmodels++] =
                testRandom(rand, VIR_DOMAIN_CONTROLLER_MODEL_PCI_LAST);
            model->parent[addrs->nbuses + chain.nmodels - 1] = -1;
        }
        return virDomainPCIGrowthAdd(addrs, &chain, false);
    }
}

static int
testModelTopology(GRand *rand)
{
    g_autoptr(virDomainPCIAddressSet) addrs = NULL;
    testModel model = { 0 };
    size_t nbuses = 1 + testRandom(rand, MODEL_BUSES);
    size_t i;
    size_t step;

    addrs = virDomainPCIAddressSetAlloc(nbuses, VIR_PCI_ADDRESS_EXTENSION_NONE);
    addrs->dryRun = testRandom(rand, 2);
    model.addrs = addrs;

    for (i = 0; i < nbuses; i++) {
        virDomainControllerModelPCI cont;

        if (i == 0)
            cont = testRandom(rand, 2) ? VIR_DOMAIN_CONTROLLER_MODEL_PCIE_ROOT :
                VIR_DOMAIN_CONTROLLER_MODEL_PCI_ROOT;
        else
            cont = testRandom(rand, VIR_DOMAIN_CONTROLLER_MODEL_PCI_LAST);

        if (virDomainPCIAddressBusSetModel(&addrs->buses[i], cont,
                                           testRandom(rand, 4) > 0) < 0)
            return -1;
        addrs->buses[i].isolationGroup = testRandom(rand, 4) ? 0 : testRandom(rand, 3);
        addrs->buses[i].isolationGroupLocked = testRandom(rand, 4) == 0;
        model.parent[i] = -1;
    }

    /* anywhere, even where it makes a circle */
    for (i = 1; i < nbuses; i++) {
        if (testRandom(rand, 2)) {
            model.parent[i] = testRandom(rand, nbuses);
            virDomainPCITopologyConnect(addrs, i, model.parent[i]);
        }
    }

    for (step = 0; step < MODEL_STEPS; step++) {
        virDomainPCISlotRequest req;
        virPCIDeviceAddress expected = { 0 };
        virPCIDeviceAddress actual = { 0 };
        bool reached[MODEL_BUSES_MAX] = { 0 };
        bool found;

        if (testModelChange(&model, rand) < 0) {
            fprintf(stderr, "%s\n", virGetLastErrorMessage());
            return -1;
        }

        testModelRequest(&model, rand, &req);
        found = testModelFind(&model, &req, &expected);
        if (virDomainPCITopologyFindSlot(addrs, &req, &actual) != found ||
            (found && !virPCIDeviceAddressEqual(&expected, &actual))) {
            fprintf(stderr,
                    "step %zu, flags 0x%x group %u function %d controller %d: expected %s %u:%u.%u, found %u:%u.%u\n",
                    step, req.flags, req.isolationGroup, req.function, req.controller,
                    found ? "slot" : "none", expected.bus, expected.slot,
                    expected.function, actual.bus, actual.slot, actual.function);
            return -1;
        }

        testModelReach(&model, req.controller, reached);
        for (i = 0; i < addrs->nbuses; i++) {
            if (virDomainPCITopologyReachesRoot(addrs, i, req.controller) != reached[i]) {
                fprintf(stderr, "step %zu, bus %zu without %d: expected %s\n",
                        step, i, req.controller, reached[i] ? "yes" : "no");
                return -1;
            }
        }
    }

    return 0;
}

static int
testModelAll(const void *opaque G_GNUC_UNUSED)
{
    size_t seed;

    for (seed = 1; seed <= MODEL_TOPOLOGIES; seed++) {
        g_autoptr(GRand) rand = g_rand_new_with_seed(seed);

        if (testModelTopology(rand) < 0) {
            fprintf(stderr, "in the topology of seed %zu\n", seed);
            return -1;
        }
    }

    return 0;
}


static int
mymain(void)
{
    int ret = 0;
    g_autoptr(GPtrArray) plans = testPlans =
        g_ptr_array_new_with_free_func((GDestroyNotify)virDomainPCIPlanFree);
    g_autofree char *ports253 = testTopologyPorts(253);
    g_autofree char *ports254 = testTopologyPorts(254);
    g_autofree char *bridges254 = testTopologyBridges(254);
    g_autofree char *bridges255 = testTopologyBridges(255);

#define DO_TEST_PLAN_FULL(_name, _rules, _topology, _flags, _group, _controller, \
                          _connection, _chain, _error) \
    do { \
        testPlanData data = { \
            .rules = _rules, .topology = _topology, .flags = _flags, \
            .isolationGroup = _group, .controller = _controller, \
            .connection = _connection, .chain = _chain, .error = _error, \
        }; \
        virTestRunLog(&ret, "plan: " _name, testPlan, &data); \
    } while (0)

#define DO_TEST_PLAN(name, rules, topology, flags, chain) \
    DO_TEST_PLAN_FULL(name, rules, topology, (flags) | AUTO, 0, ENDPOINT, NULL, chain, NULL)

#define DO_TEST_REFUSE(name, rules, topology, flags, error) \
    DO_TEST_PLAN_FULL(name, rules, topology, (flags) | AUTO, 0, ENDPOINT, NULL, NULL, error)

/* for the controller of bus 1 */
#define DO_TEST_PLAN_CONTROLLER(name, rules, topology, flags, chain) \
    DO_TEST_PLAN_FULL(name, rules, topology, flags, 0, 1, NULL, chain, NULL)

#define DO_TEST_REFUSE_CONTROLLER(name, rules, topology, flags, model) \
    DO_TEST_PLAN_FULL(name, rules, topology, flags, 0, 1, NULL, NULL, \
                      "a PCI slot is needed to connect a PCI controller model='" model "'")

#define DO_TEST_PLAN_CONNECTION(name, rules, topology, flags, connection, chain) \
    DO_TEST_PLAN_FULL(name, rules, topology, (flags) | AUTO, 0, ENDPOINT, connection, chain, \
                      "asks for preferredConnection")

    DO_TEST_PLAN("pcie device on a bare root", &q35, "pcie-root", PCIE, "pcie-root-port");
    DO_TEST_PLAN("pcie device, ports in use", &q35,
                 "pcie-root, pcie-root-port @0:1.0 written=1", PCIE, "pcie-root-port");
    DO_TEST_PLAN("hotplug, port without", &q35,
                 "pcie-root, pcie-root-port @0:1.0 nohotplug", PCIE | HOTPLUG,
                 "pcie-root-port");
    DO_TEST_PLAN("conventional device on a bare root", &q35, "pcie-root", PCI,
                 "pcie-root-port pcie-to-pci-bridge");
    DO_TEST_PLAN("the bridge brings its port", &q35,
                 "pcie-root, pcie-root-port @0:1.0", PCI,
                 "pcie-root-port pcie-to-pci-bridge");
    DO_TEST_PLAN("conventional device, no pcie-to-pci-bridge", &oldQ35, "pcie-root", PCI,
                 "dmi-to-pci-bridge pci-bridge");
    DO_TEST_PLAN("conventional device, dmi-to-pci-bridge is there", &oldQ35,
                 "pcie-root, dmi-to-pci-bridge @0:30.0", PCI, "pci-bridge");
    DO_TEST_PLAN("conventional device, pcie-to-pci-bridge is full", &q35,
                 "pcie-root, pcie-root-port @0:1.0, pcie-to-pci-bridge @1:0.0 moving=31",
                 PCI, "pci-bridge");
    DO_TEST_PLAN("pcie-to-pci-bridge is full of written addresses", &q35,
                 "pcie-root, pcie-root-port @0:1.0, pcie-to-pci-bridge @1:0.0 written=31",
                 PCI, "pcie-root-port pcie-to-pci-bridge");
    DO_TEST_PLAN("pci-root is full", &i440fx, "pci-root moving=31", PCI, "pci-bridge");
    DO_TEST_PLAN("nested bridges", &i440fx,
                 "pci-root written=30, pci-bridge @0:31.0 moving=31", PCI, "pci-bridge");
    DO_TEST_PLAN("PHB is full", &pseries, "pci-root moving=31", PCI, "pci-root");
    DO_TEST_PLAN("PHB is full of written addresses", &pseries, "pci-root written=31", PCI,
                 "pci-root");
    DO_TEST_PLAN("all PHBs are full", &pseries,
                 "pci-root written=31, pci-root written=31, pci-root written=31, pci-root moving=31",
                 PCI, "pci-bridge");
    DO_TEST_PLAN_FULL("isolation group", &pseries, "pci-root written=1", PCI | AUTO, 7,
                      ENDPOINT, NULL, "pci-root", NULL);
    DO_TEST_PLAN_FULL("second isolation group", &pseries,
                      "pci-root written=1, pci-root group=7 written=1", PCI | AUTO, 8,
                      ENDPOINT, NULL, "pci-root", NULL);
    DO_TEST_PLAN("root is full but for functions", &q35,
                 "pcie-root written=30, pcie-root-port @0:31.0 written=1",
                 PCIE, "pcie-root-port");
    DO_TEST_PLAN("root is full, switch has room", &q35,
                 "pcie-root written=30, pcie-root-port !0:31.0, pcie-switch-upstream-port @1:0.0",
                 PCIE, "pcie-switch-downstream-port");
    DO_TEST_PLAN("conventional device behind a switch", &q35,
                 "pcie-root written=30, pcie-root-port !0:31.0, pcie-switch-upstream-port @1:0.0",
                 PCI, "pcie-switch-downstream-port pcie-to-pci-bridge");
    DO_TEST_PLAN("root is full, device in the port can move", &q35,
                 "pcie-root written=30, pcie-root-port !0:31.0 moving=1",
                 PCIE, "pcie-switch-upstream-port pcie-switch-downstream-port");
    DO_TEST_PLAN("hotplug, root is full, port without", &q35,
                 "pcie-root written=30, pcie-root-port !0:31.0 nohotplug", PCIE | HOTPLUG,
                 "pcie-switch-upstream-port pcie-switch-downstream-port");
    DO_TEST_PLAN("last bus number", &i440fx, bridges254, PCI, "pci-bridge");
    DO_TEST_PLAN("last bus number for a port", &q35, ports253, PCIE, "pcie-root-port");

    DO_TEST_PLAN_CONTROLLER("upstream port", &q35, "pcie-root, pcie-switch-upstream-port",
                            UPSTREAM, "pcie-root-port");
    DO_TEST_PLAN_CONTROLLER("downstream port", &q35,
                            "pcie-root, pcie-switch-downstream-port", DOWNSTREAM,
                            "pcie-root-port pcie-switch-upstream-port");
    DO_TEST_PLAN_CONTROLLER("upstream port, only its own switch has room", &q35,
                            "pcie-root, pcie-switch-upstream-port, pcie-switch-downstream-port @1:0.0",
                            UPSTREAM, "pcie-root-port");
    DO_TEST_PLAN_CONTROLLER("pcie-to-pci-bridge", &q35, "pcie-root, pcie-to-pci-bridge",
                            PCIE_BRIDGE, "pcie-root-port");
    DO_TEST_PLAN_CONTROLLER("pci-bridge", &q35, "pcie-root, pci-bridge", BRIDGE,
                            "pcie-root-port pcie-to-pci-bridge");
    DO_TEST_PLAN_CONTROLLER("pci-bridge, no pcie-to-pci-bridge", &oldQ35,
                            "pcie-root, pci-bridge", BRIDGE, "dmi-to-pci-bridge");

    DO_TEST_PLAN_CONNECTION("prefers a switch", &q35, "pcie-root", PCIE,
                            "pcie-switch-downstream-port",
                            "pcie-root-port pcie-switch-upstream-port pcie-switch-downstream-port");
    DO_TEST_PLAN_CONNECTION("prefers a switch, port is there", &q35,
                            "pcie-root, pcie-root-port @0:1.0", PCIE,
                            "pcie-switch-downstream-port",
                            "pcie-switch-upstream-port pcie-switch-downstream-port");
    DO_TEST_PLAN_CONNECTION("prefers a switch, switch is there", &q35,
                            "pcie-root, pcie-root-port @0:1.0, pcie-switch-upstream-port @1:0.0",
                            PCIE, "pcie-switch-downstream-port", "pcie-switch-downstream-port");
    DO_TEST_PLAN_CONNECTION("prefers a pci-bridge", &q35, "pcie-root", PCI, "pci-bridge",
                            "pcie-root-port pcie-to-pci-bridge pci-bridge");
    DO_TEST_PLAN_CONNECTION("prefers a switch, QEMU has none", &noSwitch, "pcie-root", PCIE,
                            "pcie-switch-downstream-port", NULL);
    DO_TEST_PLAN_CONNECTION("prefers a model that is never added", &q35, "pcie-root", PCI,
                            "pci-expander-bus", NULL);
    DO_TEST_PLAN_CONNECTION("prefers a model of the other kind", &q35, "pcie-root", PCI,
                            "pcie-root-port", NULL);

    DO_TEST_REFUSE("no rules", NULL, "pcie-root", PCIE, "a free PCI Express slot");
    DO_TEST_REFUSE("integrated device", &i440fx, "pci-root written=31", PCI | INTEGRATED,
                   "must be on the root bus");
    DO_TEST_REFUSE("only written addresses", &i440fx, "pci-root written=31", PCI,
                   "a free conventional PCI slot");
    DO_TEST_REFUSE("only written addresses on a full root", &q35,
                   "pcie-root written=30, pcie-root-port !0:31.0 written=1", PCIE,
                   "a free PCI Express slot");
    DO_TEST_REFUSE("port that may not be shared, QEMU has no switch", &noSwitch,
                   "pcie-root written=30, pcie-root-port !0:31.0 moving=1", PCIE,
                   "a free PCI Express slot");
    DO_TEST_REFUSE("no bridge", &noBridge, "pcie-root", PCI, "a free conventional PCI slot");
    DO_TEST_REFUSE("no bus number left", &i440fx, bridges255, PCI, "all 256 PCI buses");
    DO_TEST_REFUSE("no bus number left for a port", &q35, ports254, PCIE,
                   "all 256 PCI buses");
    DO_TEST_REFUSE("one bus number left for a port and a bridge", &q35, ports253, PCI,
                   "no PCI controller that has one can be added");
    DO_TEST_REFUSE("all PHBs are full of written addresses", &pseries,
                   "pci-root written=31, pci-root written=31, pci-root written=31, pci-root written=31",
                   PCI, "a free conventional PCI slot");
    DO_TEST_PLAN_FULL("refuse: all PHBs are taken by isolation groups", &pseries,
                      "pci-root written=1, pci-root written=1 group=1, pci-root written=1 group=2, pci-root written=1 group=3",
                      PCI | AUTO, 4, ENDPOINT, NULL, NULL, "No more available PCI slots");
    DO_TEST_REFUSE_CONTROLLER("root port", &q35, "pcie-root written=31, pcie-root-port",
                              ROOT_PORT | AGGREGATE, "pcie-root-port");
    DO_TEST_REFUSE_CONTROLLER("dmi-to-pci-bridge", &q35,
                              "pcie-root written=31, dmi-to-pci-bridge", DMI,
                              "dmi-to-pci-bridge");
    DO_TEST_REFUSE_CONTROLLER("pci-bridge that only fits into itself", &i440fx,
                              "pci-root written=31, pci-bridge", BRIDGE, "pci-bridge");
    DO_TEST_REFUSE_CONTROLLER("expander bus on a conventional root", &i440fx,
                              "pci-root, pcie-expander-bus", EXPANDER, "pcie-expander-bus");

#define DO_TEST_PLAN_BUS(_name, _rules, _topology, _bus, _slot, _flags, _chain) \
    do { \
        testPlanBusData data = { \
            .rules = _rules, .topology = _topology, .bus = _bus, .slot = _slot, \
            .flags = _flags, .chain = _chain, \
        }; \
        virTestRunLog(&ret, "written address: " _name, testPlanBus, &data); \
    } while (0)

    DO_TEST_PLAN_BUS("ports", &q35, "pcie-root", 2, 0, PCIE,
                     "| pcie-root-port pcie-root-port");
    DO_TEST_PLAN_BUS("port and bridge", &q35, "pcie-root", 2, 2, PCI,
                     "pcie-root-port pcie-to-pci-bridge");
    DO_TEST_PLAN_BUS("port, bridge and more", &q35, "pcie-root", 4, 2, PCI,
                     "pcie-root-port pcie-to-pci-bridge | pci-bridge pci-bridge");
    DO_TEST_PLAN_BUS("bridges, no pcie-to-pci-bridge", &oldQ35, "pcie-root", 3, 2, PCI,
                     "dmi-to-pci-bridge | pci-bridge pci-bridge");
    DO_TEST_PLAN_BUS("bridge is there", &oldQ35, "pcie-root, dmi-to-pci-bridge @0:30.0", 3, 2,
                     PCI, "| pci-bridge pci-bridge");
    DO_TEST_PLAN_BUS("conventional root", &i440fx, "pci-root", 2, 2, PCI,
                     "| pci-bridge pci-bridge");
    DO_TEST_PLAN_BUS("PHBs", &pseries, "pci-root", 2, 2, PCI, "| pci-root pci-root");
    DO_TEST_PLAN_BUS("lone bus", &q35, "pcie-root", 1, 2, PCI, "| dmi-to-pci-bridge");
    DO_TEST_PLAN_BUS("lone bus, no pcie-to-pci-bridge", &oldQ35, "pcie-root", 1, 2, PCI,
                     "| dmi-to-pci-bridge");
    DO_TEST_PLAN_BUS("lone bus, port is free", &q35, "pcie-root, pcie-root-port @0:1.0", 2, 2,
                     PCI, "| pcie-to-pci-bridge");
    DO_TEST_PLAN_BUS("lone bus, port is in use", &q35,
                     "pcie-root, pcie-root-port @0:1.0 written=1", 2, 2, PCI,
                     "| dmi-to-pci-bridge");
    DO_TEST_PLAN_BUS("lone bus, port is free, slot 0", &q35,
                     "pcie-root, pcie-root-port @0:1.0", 2, 0, PCI, "| dmi-to-pci-bridge");
    DO_TEST_PLAN_BUS("lone bus, port follows", &noRootBridge, "pcie-root", 1, 2, PCI,
                     "| pcie-to-pci-bridge pcie-root-port");
    DO_TEST_PLAN_BUS("refuse: lone bus, slot 0", &noRootBridge, "pcie-root", 1, 0, PCI, NULL);
    DO_TEST_PLAN_BUS("refuse: lone bus, no bridge", &noBridge, "pcie-root", 1, 2, PCI, NULL);
    DO_TEST_PLAN_BUS("refuse: kind of slot that nothing has", &i440fx, "pci-root", 1, 0,
                     PCIE_BRIDGE, NULL);
    DO_TEST_PLAN_BUS("last bus", &i440fx, bridges254, 255, 1, PCI, "| pci-bridge");
    DO_TEST_PLAN_BUS("refuse: beyond the last bus", &i440fx, "pci-root", 256, 1, PCI, NULL);

#define DO_TEST_WINDOWS_BESIDE(_name, ...) \
    do { \
        testWindowsData data = { __VA_ARGS__ }; \
        virTestRunLog(&ret, "windows: " _name, testWindows, &data); \
    } while (0)
#define DO_TEST_WINDOWS(_name, ...) DO_TEST_WINDOWS_BESIDE(_name, __VA_ARGS__, NULL)

#define PORTS3 "pcie-root, pcie-root-port @0:1.0, pcie-root-port @0:2.0, pcie-root-port @0:3.0"
#define BRIDGE3 "pcie-root, pcie-root-port @0:1.0, pcie-to-pci-bridge @1:0.0, pci-bridge @2:1.0"

    /* what is known to be large enough counts */
    DO_TEST_WINDOWS("large enough", PORTS3, { "pref64=8", "pref64=16", "pref64=32" },
                    "pref64=16", PCIE | AUTO, false, false, "2:0", 0, NULL, NULL);
    DO_TEST_WINDOWS("all of them have to be", PORTS3, { "pref64=32", "mem=4 pref64=16", NULL },
                    "mem=4 pref64=16", PCIE | AUTO, false, false, "2:0", 0, NULL, NULL);
    DO_TEST_WINDOWS("one KiB short", PORTS3, { "pref64=15", "mem=64", "io=4" },
                    "pref64=16", PCIE | AUTO, true, false, NULL, 1, "pcie-root-port",
                    " pref64Reserve='16'");
    DO_TEST_WINDOWS("what the firmware gives does not count", PORTS3, { NULL },
                    "io=4", PCIE | AUTO, true, false, NULL, 1, "pcie-root-port",
                    " ioReserve='4'");
    DO_TEST_WINDOWS("no I/O is not asked for", PORTS3, { "mem=4" }, "io=0", PCIE | AUTO,
                    false, false, "1:0", 0, NULL, NULL);
    /* the lowest, or the smallest that does */
    DO_TEST_WINDOWS("lowest", PORTS3, { "pref64=32", "mem=4", "io=0" }, "", PCIE | AUTO,
                    false, false, "1:0", 0, NULL, NULL);
    DO_TEST_WINDOWS("I/O or not is all the same", PORTS3, { "mem=4 io=0", "", "io=0" }, "",
                    PCIE | AUTO, true, false, "2:0", 0, NULL, NULL);
    DO_TEST_WINDOWS("I/O is left to others", PORTS3, { "io=4", "mem=4", "pref64=1" }, "",
                    PCIE | AUTO, true, false, "2:0", 0, NULL, NULL);
    DO_TEST_WINDOWS("64-bit windows are left to others", PORTS3, { "pref64=1", "pref64=2", "io=4" },
                    "", PCIE | AUTO, true, false, "3:0", 0, NULL, NULL);
    DO_TEST_WINDOWS("smallest that does", PORTS3, { "pref64=64", "pref64=16", "pref64=32" },
                    "pref64=10", PCIE | AUTO, true, false, "2:0", 0, NULL, NULL);
    DO_TEST_WINDOWS("I/O is needed", PORTS3, { "io=0", "", "io=4" }, "", PCIE | AUTO,
                    true, true, "3:0", 0, NULL, NULL);
    DO_TEST_WINDOWS("I/O is needed, and may be there", PORTS3, { "io=0", "", "io=0" }, "",
                    PCIE | AUTO, true, true, "2:0", 0, NULL, NULL);
    DO_TEST_WINDOWS("a bridge with memory", BRIDGE3, { "", "", "mem=64" }, "", PCI | AUTO,
                    true, true, "3:1", 0, NULL, NULL);
    DO_TEST_WINDOWS("a bridge without memory", BRIDGE3, { "", "", "mem=64" }, "", PCI | AUTO,
                    true, false, "2:2", 0, NULL, NULL);
    /* the slots of a bridge share what it has */
    DO_TEST_WINDOWS("room for one", BRIDGE3, { "", "", "mem=64" }, "mem=64", PCI | AUTO,
                    true, false, "3:1", 0, NULL, NULL);
    DO_TEST_WINDOWS("one is there already", BRIDGE3 " written=1", { "", "", "mem=127" }, "mem=64",
                    PCI | AUTO, true, false, NULL, 3, "pci-bridge", " memReserve='192'");
    DO_TEST_WINDOWS("room for two", BRIDGE3 " written=1", { "", "", "mem=128" }, "mem=64",
                    PCI | AUTO, true, false, "3:2", 0, NULL, NULL);
    DO_TEST_WINDOWS_BESIDE("room beside a larger promise", BRIDGE3, { "", "", "mem=128" },
                           "mem=32", PCI | AUTO, true, false, "3:2", 0, NULL, NULL, "mem=96");
    DO_TEST_WINDOWS_BESIDE("no room beside a larger promise", BRIDGE3, { "", "", "mem=127" },
                           "mem=32", PCI | AUTO, true, false, NULL, 1, "pci-bridge",
                           " memReserve='32'", "mem=96");
    DO_TEST_WINDOWS("no more than it has slots", "pcie-root", { NULL }, "mem=1",
                    PCI | AUTO, true, false, NULL, 40,
                    "pcie-root-port pcie-to-pci-bridge pci-bridge", " memReserve='31'");
    DO_TEST_WINDOWS("I/O is rounded up", "pcie-root", { NULL }, "io=1",
                    PCI | AUTO, true, false, NULL, 5,
                    "pcie-root-port pcie-to-pci-bridge pci-bridge", " ioReserve='8'");
    /* the root has all there is, but no 64-bit window */
    DO_TEST_WINDOWS("memory of the root", "pci-root, pci-bridge @0:1.0", { "" }, "mem=64",
                    PCI | AUTO, true, false, "0:2", 0, NULL, NULL);
    DO_TEST_WINDOWS("the bridge takes the slot of a device", "pci-root written=30 moving=1",
                    { NULL }, "mem=32", PCI | AUTO, true, false, NULL, 2, "pci-bridge",
                    " memReserve='64'");
    DO_TEST_WINDOWS_BESIDE("the bridge takes a promised slot", "pci-root written=30", { NULL },
                           "mem=32", PCI | AUTO, true, false, NULL, 2, "pci-bridge",
                           " memReserve='160'", "mem=96");
    DO_TEST_WINDOWS("64-bit window of the root", "pci-root, pci-bridge @0:1.0", { "" },
                    "pref64=64", PCI | AUTO, true, false, NULL, 2, "pci-bridge",
                    " pref64Reserve='128'");

#define DO_TEST_FIND_FULL(_topology, _flags, _group, _function, _controller, _address) \
    do { \
        testFindData data = { \
            .topology = _topology, .flags = _flags, .isolationGroup = _group, \
            .function = _function, .controller = _controller, .address = _address, \
        }; \
        virTestRunLog(&ret, "find: " #_flags " in " _topology, testFind, &data); \
    } while (0)

#define DO_TEST_FIND(topology, flags, address) \
    DO_TEST_FIND_FULL(topology, flags, 0, -1, ENDPOINT, address)

    /* the lowest bus, the lowest slot */
    DO_TEST_FIND("pci-root, pci-bridge @0:1.0", PCI | AUTO, "0:2.0");
    DO_TEST_FIND("pci-root written=30, pci-bridge @0:31.0", PCI | AUTO, "1:1.0");
    DO_TEST_FIND("pci-root written=31", PCI | AUTO, NULL);
    DO_TEST_FIND("pcie-root, pcie-root-port @0:1.0", UPSTREAM, "1:0.0");
    DO_TEST_FIND("pcie-root, pcie-root-port @0:1.0", DOWNSTREAM, NULL);
    DO_TEST_FIND("pcie-root, pcie-root-port @0:1.0", DMI, "0:2.0");
    /* not on a bus that libvirt gives no addresses on */
    DO_TEST_FIND("pcie-root, pcie-root-port @0:1.0", PCIE | AUTO, "1:0.0");
    DO_TEST_FIND("pcie-root, pcie-root-port @0:1.0", PCIE, "0:2.0");
    DO_TEST_FIND("pcie-root, dmi-to-pci-bridge @0:30.0, pci-bridge @1:0.0", PCI | AUTO,
                 "2:1.0");
    DO_TEST_FIND("pcie-root, dmi-to-pci-bridge @0:30.0, pci-bridge @1:0.0", PCI, "1:1.0");
    /* integrated devices on bus 0 and nowhere else */
    DO_TEST_FIND("pcie-root, pcie-root-port @0:1.0", PCIE | AUTO | INTEGRATED, "0:2.0");
    DO_TEST_FIND("pcie-root written=30, pcie-root-port @0:31.0", PCIE | AUTO | INTEGRATED,
                 NULL);
    /* hotplug */
    DO_TEST_FIND("pcie-root, pcie-root-port @0:1.0 nohotplug, pcie-root-port @0:1.1",
                 PCIE | AUTO, "1:0.0");
    DO_TEST_FIND("pcie-root, pcie-root-port @0:1.0 nohotplug, pcie-root-port @0:1.1",
                 PCIE | AUTO | HOTPLUG, "2:0.0");
    /* functions of a slot, only among those that share */
    DO_TEST_FIND("pcie-root, pcie-root-port @0:1.0", ROOT_PORT | AGGREGATE, "0:1.1");
    DO_TEST_FIND("pcie-root, pcie-root-port @0:1.0", ROOT_PORT, "0:2.0");
    DO_TEST_FIND("pcie-root, pcie-root-port !0:1.0", ROOT_PORT | AGGREGATE, "0:2.0");
    DO_TEST_FIND("pcie-root, pcie-root-port @0:1.0, pcie-root-port @0:1.2",
                 ROOT_PORT | AGGREGATE, "0:1.1");
    DO_TEST_FIND("pcie-root, pcie-root-port @0:1.0, pcie-root-port @0:1.1, "
                 "pcie-root-port @0:1.2, pcie-root-port @0:1.3, pcie-root-port @0:1.4, "
                 "pcie-root-port @0:1.5, pcie-root-port @0:1.6, pcie-root-port @0:1.7",
                 ROOT_PORT | AGGREGATE, "0:2.0");
    DO_TEST_FIND_FULL("pcie-root, pcie-root-port @0:1.0", ROOT_PORT | AGGREGATE, 0, 0,
                      ENDPOINT, "0:2.0");
    DO_TEST_FIND_FULL("pcie-root, pcie-root-port @0:1.0", ROOT_PORT | AGGREGATE, 0, 3,
                      ENDPOINT, "0:1.3");
    DO_TEST_FIND_FULL("pci-root", PCI | AUTO, 0, 2, ENDPOINT, "0:1.2");
    /* isolation groups: their own bus, else an empty one that can change */
    DO_TEST_FIND_FULL("pci-root, pci-root group=7 written=1", PCI | AUTO, 7, -1, ENDPOINT,
                      "1:2.0");
    DO_TEST_FIND_FULL("pci-root, pci-root group=7 written=1", PCI | AUTO, 0, -1, ENDPOINT,
                      "0:1.0");
    DO_TEST_FIND_FULL("pci-root, pci-root group=7 written=1", PCI | AUTO, 8, -1, ENDPOINT,
                      "0:1.0");
    DO_TEST_FIND_FULL("pci-root locked, pci-root group=7 written=1", PCI | AUTO, 8, -1,
                      ENDPOINT, NULL);
    DO_TEST_FIND_FULL("pci-root written=1, pci-root group=7 written=1", PCI | AUTO, 8, -1,
                      ENDPOINT, NULL);
    DO_TEST_FIND_FULL("pci-root written=1, pci-root group=7 written=31", PCI | AUTO, 7, -1,
                      ENDPOINT, NULL);
    DO_TEST_FIND_FULL("pci-root group=7 written=1, pci-root group=7", PCI | AUTO, 0, -1,
                      ENDPOINT, "1:1.0");
    /* a controller only where it does not hang on itself */
    DO_TEST_FIND_FULL("pcie-root, pcie-root-port @0:1.0 written=1, pcie-switch-upstream-port, "
                      "pcie-switch-downstream-port @2:0.0", UPSTREAM, 0, -1, 2, NULL);
    DO_TEST_FIND_FULL("pcie-root, pcie-root-port @0:1.0, pcie-switch-upstream-port, "
                      "pcie-switch-downstream-port @2:0.0", UPSTREAM, 0, -1, 2, "1:0.0");
    DO_TEST_FIND_FULL("pci-root written=30, pci-bridge, pci-bridge", BRIDGE, 0, -1, 1,
                      "0:31.0");
    DO_TEST_FIND_FULL("pci-root written=30, pci-bridge @0:31.0, pci-bridge", BRIDGE, 0, -1, 2,
                      "1:1.0");
    DO_TEST_FIND_FULL("pci-root written=31, pci-bridge, pci-bridge @1:1.0", BRIDGE, 0, -1, 1,
                      NULL);

#define DO_TEST_REACH(_topology, _bus, _without, _reaches) \
    do { \
        testReachData data = { \
            .topology = _topology, .bus = _bus, .without = _without, .reaches = _reaches, \
        }; \
        virTestRunLog(&ret, "reaches the root: " #_bus " without " #_without " in " _topology, \
                      testReach, &data); \
    } while (0)

    DO_TEST_REACH("pcie-root, pcie-root-port @0:1.0", 0, ENDPOINT, true);
    DO_TEST_REACH("pcie-root, pcie-root-port @0:1.0", 1, ENDPOINT, true);
    DO_TEST_REACH("pcie-root, pcie-root-port @0:1.0", 1, 1, false);
    DO_TEST_REACH("pcie-root, pcie-root-port @0:1.0", 0, 1, true);
    DO_TEST_REACH("pci-root, pci-bridge @0:1.0, pci-bridge @1:1.0", 2, ENDPOINT, true);
    DO_TEST_REACH("pci-root, pci-bridge @0:1.0, pci-bridge @1:1.0", 2, 1, false);
    DO_TEST_REACH("pci-root, pci-bridge @0:1.0, pci-bridge @0:2.0", 2, 1, true);
    DO_TEST_REACH("pci-root, pci-root", 1, ENDPOINT, true);
    DO_TEST_REACH("pci-root, pci-root", 1, 0, true);
    /* circles */
    DO_TEST_REACH("pci-root, pci-bridge @1:1.0", 1, ENDPOINT, false);
    DO_TEST_REACH("pci-root, pci-bridge @2:1.0, pci-bridge @1:1.0", 1, ENDPOINT, false);
    DO_TEST_REACH("pci-root, pci-bridge @2:1.0, pci-bridge @1:1.0, pci-bridge @2:2.0", 3,
                  ENDPOINT, false);
    /* not plugged in yet */
    DO_TEST_REACH("pcie-root, pcie-root-port", 1, ENDPOINT, true);
    DO_TEST_REACH("pcie-root written=31, pcie-root-port", 1, ENDPOINT, false);
    DO_TEST_REACH("pcie-root written=30, pcie-root-port @0:31.0, pcie-root-port", 2, ENDPOINT,
                  true);
    DO_TEST_REACH("pci-root moving=31, pci-bridge", 1, ENDPOINT, true);
    DO_TEST_REACH("pcie-root, pcie-switch-upstream-port", 1, ENDPOINT, false);
    DO_TEST_REACH("pcie-root, pcie-switch-upstream-port, pcie-root-port", 1, ENDPOINT, true);
    DO_TEST_REACH("pcie-root, pcie-switch-upstream-port, pcie-root-port", 1, 2, false);
    DO_TEST_REACH("pcie-root, pci-bridge, pci-bridge @1:1.0", 2, ENDPOINT, false);
    DO_TEST_REACH("pcie-root, pci-bridge, pci-bridge @1:1.0, dmi-to-pci-bridge @0:30.0", 2,
                  ENDPOINT, true);
    DO_TEST_REACH("pcie-root, pci-bridge, pci-bridge @1:1.0, dmi-to-pci-bridge @0:30.0", 2, 3,
                  false);

#define DO_TEST_STABILITY(_from, _to, _stable) \
    do { \
        testStabilityData data = { _from, _to, _stable }; \
        virTestRunLog(&ret, "from <target " _from "/> to <target " _to "/>", \
                      testStability, &data); \
    } while (0)

    DO_TEST_STABILITY("", "", true);
    DO_TEST_STABILITY("memReserve='4'", "memReserve='4'", true);
    DO_TEST_STABILITY("memReserve='4'", "memReserve='8'", false);
    DO_TEST_STABILITY("memReserve='4'", "", false);
    DO_TEST_STABILITY("", "memReserve='4'", false);
    DO_TEST_STABILITY("pref64Reserve='4'", "pref64Reserve='4'", true);
    DO_TEST_STABILITY("pref64Reserve='4'", "pref64Reserve='8'", false);
    DO_TEST_STABILITY("pref64Reserve='4'", "", false);
    DO_TEST_STABILITY("", "pref64Reserve='4'", false);
    DO_TEST_STABILITY("ioReserve='4'", "ioReserve='4'", true);
    DO_TEST_STABILITY("ioReserve='4'", "ioReserve='8'", false);
    DO_TEST_STABILITY("ioReserve='4'", "", false);
    DO_TEST_STABILITY("", "ioReserve='4'", false);
    /* no window is not the same as no wish */
    DO_TEST_STABILITY("ioReserve='0'", "ioReserve='0'", true);
    DO_TEST_STABILITY("ioReserve='0'", "", false);
    DO_TEST_STABILITY("memReserve='4'", "pref64Reserve='4'", false);

#define DO_TEST_WAIT(_topology, _idx, _result) \
    do { \
        testWaitData data = { .topology = _topology, .idx = _idx, .result = _result }; \
        virTestRunLog(&ret, "turn of " #_idx " in " _topology, testWait, &data); \
    } while (0)

    DO_TEST_WAIT("pcie-root, pcie-root-port", 1, "has a place");
    DO_TEST_WAIT("pcie-root, pcie-switch-upstream-port", 1, "adds");
    /* the switch will get a port first */
    DO_TEST_WAIT("pcie-root, pcie-switch-downstream-port, pcie-switch-upstream-port", 1, "waits");
    /* the turn of the port will come, but nothing changes then */
    DO_TEST_WAIT("pcie-root, pci-bridge, pcie-root-port", 1, "adds");
    DO_TEST_WAIT("pcie-root, pci-bridge, pcie-root-port @0:1.0", 1, "adds");

#define DO_TEST_HOLD(_topology, _type, _without, _displace, _can) \
    do { \
        testHoldData data = { \
            .topology = _topology, .type = _type, .without = _without, \
            .displace = _displace, .can = _can, \
        }; \
        virTestRunLog(&ret, "can hold: " #_type " without " #_without \
                      " displace " #_displace " in " _topology, testHold, &data); \
    } while (0)

    DO_TEST_HOLD("pcie-root", ROOT_PORT | AGGREGATE, ENDPOINT, false, true);
    DO_TEST_HOLD("pcie-root written=31", ROOT_PORT | AGGREGATE, ENDPOINT, false, false);
    DO_TEST_HOLD("pcie-root written=30, pcie-root-port @0:31.0", ROOT_PORT | AGGREGATE,
                 ENDPOINT, false, true);
    DO_TEST_HOLD("pcie-root written=30, pcie-root-port !0:31.0", ROOT_PORT | AGGREGATE,
                 ENDPOINT, false, false);
    DO_TEST_HOLD("pcie-root written=30, pcie-root-port", ROOT_PORT | AGGREGATE, ENDPOINT,
                 false, true);
    DO_TEST_HOLD("pcie-root written=30, pcie-root-port @0:31.0", DMI, ENDPOINT, false, false);
    /* slots that are owed to controllers without a place */
    DO_TEST_HOLD("pcie-root written=29, dmi-to-pci-bridge", DMI, ENDPOINT, false, true);
    DO_TEST_HOLD("pcie-root written=30, dmi-to-pci-bridge", DMI, ENDPOINT, false, false);
    DO_TEST_HOLD("pcie-root written=30, dmi-to-pci-bridge", DMI, 1, false, true);
    /* slots of devices that may move */
    DO_TEST_HOLD("pci-root moving=31", BRIDGE, ENDPOINT, false, false);
    DO_TEST_HOLD("pci-root moving=31", BRIDGE, ENDPOINT, true, true);
    DO_TEST_HOLD("pci-root written=31", BRIDGE, ENDPOINT, true, false);
    DO_TEST_HOLD("pci-root written=30 moving=1, pci-bridge written=31", BRIDGE, ENDPOINT, true,
                 false);
    DO_TEST_HOLD("pci-root written=29 moving=2, pci-bridge written=31", BRIDGE, ENDPOINT, true,
                 true);
    /* slots behind the controller itself, or behind a circle */
    DO_TEST_HOLD("pci-root written=30, pci-bridge @0:31.0", BRIDGE, ENDPOINT, false, true);
    DO_TEST_HOLD("pci-root written=30, pci-bridge @0:31.0", BRIDGE, 1, false, false);
    DO_TEST_HOLD("pci-root written=31, pci-bridge @2:1.0, pci-bridge @1:1.0", BRIDGE, ENDPOINT,
                 false, false);

    virTestRunLog(&ret, "slots that are added for windows", testSparing, NULL);
    virTestRunLog(&ret, "released slots", testRelease, NULL);
    virTestRunLog(&ret, "devices that may move", testMoves, NULL);
    virTestRunLog(&ret, "places of a chain", testSettle, NULL);
    virTestRunLog(&ret, "parts of the chipset", testIntegrated, NULL);
    virTestRunLog(&ret, "models", testModels, NULL);

#define DO_TEST_ORDER(_controllers, _order, _error) \
    do { \
        testOrderData data = { \
            .controllers = _controllers, .order = _order, .error = _error, \
        }; \
        virTestRunLog(&ret, "order: " _controllers, testOrder, &data); \
    } while (0)

    DO_TEST_ORDER("0 pcie-root, 1 pcie-root-port 0:1.0, usb, 2 pcie-to-pci-bridge 1:0.0",
                  "0 1 usb 2", NULL);
    DO_TEST_ORDER("1 pcie-root-port 0:1.0, 0 pcie-root", "1 0", NULL);
    DO_TEST_ORDER("0 pcie-root, 1 pci-bridge 3:1.0, usb, 2 pcie-root-port 0:1.0, "
                  "3 pcie-to-pci-bridge 2:0.0, sata", "0 usb 2 3 sata 1", NULL);
    DO_TEST_ORDER("3 pci-bridge 2:1.0, 2 pci-bridge 1:1.0, 1 pci-bridge 0:1.0, 0 pci-root",
                  "1 0 2 3", NULL);
    DO_TEST_ORDER("0 pci-root, 1 pci-root, 2 pci-bridge 1:1.0", "0 1 2", NULL);
    DO_TEST_ORDER("0 pcie-root, 1 pcie-root-port", "0 1", NULL);
    DO_TEST_ORDER("0 pcie-root, 1 pcie-switch-upstream-port 2:0.0, "
                  "2 pcie-switch-downstream-port 1:0.0, usb, 3 pcie-root-port 0:1.0",
                  "0 usb 3 1 2",
                  "index='1' and model='pcie-switch-upstream-port' is plugged into bus='0x02'");
    DO_TEST_ORDER("0 pci-root, 1 pci-bridge 0:1.0, 2 pci-bridge 2:1.0, 3 pci-bridge 1:1.0",
                  "0 1 3 2", "index='2' and model='pci-bridge' is plugged into bus='0x02'");
    DO_TEST_ORDER("0 pci-root, 1 pci-bridge 5:1.0", "0 1",
                  "index='1' and model='pci-bridge' is plugged into bus='0x05'");

#define DO_TEST_NUMBERS(_topology, _expander, _numbers) \
    do { \
        testNumbersData data = { \
            .topology = _topology, .expander = _expander, .numbers = _numbers, \
        }; \
        virTestRunLog(&ret, "bus numbers: " _topology, testNumbers, &data); \
    } while (0)

    DO_TEST_NUMBERS("pcie-root, pcie-expander-bus @0:1.0", 1, 2);
    DO_TEST_NUMBERS("pcie-root, pcie-expander-bus @0:1.0, pcie-root-port @1:0.0", 1, 2);
    DO_TEST_NUMBERS("pcie-root, pcie-expander-bus @0:1.0, pcie-root-port @1:0.0, "
                    "pcie-root-port @1:0.1, pcie-root-port @1:0.2", 1, 4);
    DO_TEST_NUMBERS("pcie-root, pcie-switch-downstream-port @3:0.0, pcie-root-port @4:0.0, "
                    "pcie-switch-upstream-port @2:0.0, pcie-expander-bus @0:1.0", 4, 4);
    DO_TEST_NUMBERS("pcie-root, pcie-expander-bus @0:1.0, pcie-expander-bus @0:2.0, "
                    "pcie-root-port @2:0.0, pcie-root-port @2:0.1, pcie-root-port @0:3.0", 1, 2);
    DO_TEST_NUMBERS("pci-root, pci-expander-bus @0:1.0", 1, 2);
    DO_TEST_NUMBERS("pci-root, pci-expander-bus @0:1.0, pci-bridge @1:0.0", 1, 3);

#define DO_TEST_NODES(_rules, _topology, _node, _flags, ...) \
    do { \
        testNodesData data = { \
            .rules = &_rules, .topology = _topology, .node = _node, .flags = _flags, __VA_ARGS__ \
        }; \
        virTestRunLog(&ret, "node " #_node " of: " _topology, testNodes, &data); \
    } while (0)

#define BELOW(_more) "pcie-root, pcie-expander-bus @0:1.0 node=1" _more ", pcie-root-port @1:0.0"
    DO_TEST_NODES(q35, BELOW("") ", pcie-root-port @0:2.0", 1, PCIE, .address = "2:0");
    DO_TEST_NODES(q35, BELOW("") ", pcie-root-port @0:2.0", -1, PCIE, .address = "2:0");
    DO_TEST_NODES(q35, BELOW("") ", pcie-root-port @0:2.0", -1, PCIE, .thrifty = true, .address = "3:0");
    DO_TEST_NODES(q35, BELOW("") ", pcie-root-port @0:2.0", 0, PCIE, .chain = "pcie-expander-bus pcie-root-port");
    DO_TEST_NODES(noSwitch, BELOW("") ", pcie-root-port @0:2.0", 0, PCIE, .chain = NULL);
    DO_TEST_NODES(q35, BELOW("") ", pcie-root-port @0:2.0", 1, PCI,
                  .chain = "pcie-root-port pcie-to-pci-bridge");
    DO_TEST_NODES(q35, BELOW("") ", pcie-root-port @0:2.0", 0, PCI,
                  .chain = "pcie-expander-bus pcie-root-port pcie-to-pci-bridge");
    /* the numbers that are left below the expander bus */
    DO_TEST_NODES(q35, BELOW("") " written=1", 1, PCIE, .chain = "pcie-root-port");
    DO_TEST_NODES(q35, BELOW(" busNr=253") " written=1", 1, PCIE, .chain = "pcie-root-port");
    DO_TEST_NODES(q35, BELOW(" busNr=254") " written=1", 1, PCIE, .chain = "pcie-expander-bus pcie-root-port");
    DO_TEST_NODES(q35, BELOW(" busNr=252") " written=1, pcie-expander-bus @0:2.0 busNr=254", 1, PCIE,
                  .chain = "pcie-expander-bus pcie-root-port");
    DO_TEST_NODES(q35, BELOW(" busNr=251") " written=1, pcie-expander-bus @0:2.0 busNr=254", 1, PCIE,
                  .chain = "pcie-root-port");
    DO_TEST_NODES(q35, BELOW(" busNr=253") " written=1", 1, PCI,
                  .chain = "pcie-expander-bus pcie-root-port pcie-to-pci-bridge");
    DO_TEST_NODES(q35, BELOW(" busNr=253") " written=1, pcie-root-port node=1 written=1", 1, PCIE,
                  .chain = "pcie-expander-bus pcie-root-port");
    /* a controller that waits for a place elsewhere needs none here */
    DO_TEST_NODES(q35, BELOW(" busNr=253") " written=1, pcie-root-port node=2 written=1", 1, PCIE,
                  .chain = "pcie-root-port");
    DO_TEST_NODES(i440fx, "pci-root, pci-expander-bus @0:2.0 node=1", 1, PCI, .address = "1:0");
    DO_TEST_NODES(i440fx, "pci-root, pci-expander-bus @0:2.0 node=1", 0, PCI, .chain = "pci-expander-bus");
    DO_TEST_NODES(i440fx, "pci-root, pci-expander-bus @0:2.0 node=1", 0, PCI, .model = "pci-expander-bus",
                  .chain = "pci-expander-bus");
    DO_TEST_NODES(i440fx, "pci-root, pci-expander-bus @0:2.0 node=1", -1, PCI, .model = "pci-bridge",
                  .chain = "pci-bridge");
    DO_TEST_NODES(i440fx, "pci-root", -1, PCI, .model = "pci-expander-bus", .chain = NULL);
    DO_TEST_NODES(pseries, "pci-root, pci-root node=1", 1, PCI, .address = "1:1");
    DO_TEST_NODES(pseries, "pci-root, pci-root node=1", 0, PCI, .chain = "pci-root");
    DO_TEST_NODES(pseries, "pci-root, pci-root, pci-root, pci-root node=1", 0, PCI, .chain = NULL);

    virTestRunLog(&ret, "random topologies", testModelAll, NULL);

    return ret == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

VIR_TEST_MAIN(mymain)
