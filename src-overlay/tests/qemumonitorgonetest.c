/*
 * qemumonitorgonetest.c: removing what QEMU has no more
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include <config.h>

#include "testutils.h"
#include "testutilsqemu.h"
#include "qemumonitortestutils.h"
#include "qemu/qemu_monitor.h"
#include "virevent.h"

#define VIR_FROM_THIS VIR_FROM_NONE

static int
removeNetdev(qemuMonitor *mon)
{
    return qemuMonitorRemoveNetdev(mon, "back");
}

static int
removeObject(qemuMonitor *mon)
{
    return qemuMonitorDelObject(mon, "back", true);
}

static int
removeObjectSilently(qemuMonitor *mon)
{
    return qemuMonitorDelObject(mon, "back", false);
}

static int
removeChardev(qemuMonitor *mon)
{
    return qemuMonitorDetachCharDev(mon, "back");
}

typedef struct {
    virDomainXMLOption *xmlopt;
    int (*function)(qemuMonitor *mon);
    const char *command;
    const char *reply;
    bool error;    /* the function fails */
    bool reported; /* and says why */
} testGoneData;

static int
testGone(const void *opaque)
{
    const testGoneData *data = opaque;
    g_autoptr(qemuMonitorTest) test = qemuMonitorTestNewSimple(data->xmlopt);
    bool failed;

    if (!test ||
        qemuMonitorTestAddItem(test, data->command, data->reply) < 0)
        return -1;

    failed = data->function(qemuMonitorTestGetMonitor(test)) < 0;
    if (failed != data->error) {
        VIR_TEST_DEBUG("it %s", failed ? "failed" : "did not fail");
        return -1;
    }
    if ((virGetLastErrorCode() != VIR_ERR_OK) != data->reported) {
        VIR_TEST_DEBUG("reported: %s", virGetLastErrorMessage());
        return -1;
    }
    virResetLastError();
    return 0;
}

static int
mymain(void)
{
    virQEMUDriver driver;
    int ret = 0;

    if (qemuTestDriverInit(&driver) < 0)
        return EXIT_FAILURE;

    virEventRegisterDefaultImpl();

#define DO_TEST(_name, _function, _command, _reply, _error, _reported) \
    do { \
        testGoneData data = { \
            .xmlopt = driver.xmlopt, .function = _function, .command = _command, \
            .reply = _reply, .error = _error, .reported = _reported, \
        }; \
        virTestRunLog(&ret, #_function ": " _name, testGone, &data); \
    } while (0)

#define QEMU_ERROR(_class, _text) \
    "{\"error\":{\"class\":\"" _class "\",\"desc\":\"" _text "\"}}"

#define DO_TEST_REMOVE(_function, _command, _class, _what, _reported) \
    DO_TEST("removed", _function, _command, "{\"return\":{}}", false, false); \
    DO_TEST("gone", _function, _command, \
            QEMU_ERROR(_class, _what " 'back' not found"), false, false); \
    DO_TEST("something else is gone", _function, _command, \
            QEMU_ERROR(_class, _what " 'front' not found"), true, _reported); \
    DO_TEST("in use", _function, _command, \
            QEMU_ERROR("GenericError", _what " 'back' is in use"), true, _reported); \
    DO_TEST("no reason", _function, _command, "{\"error\":{}}", true, _reported)

    DO_TEST_REMOVE(removeNetdev, "netdev_del", "DeviceNotFound", "Device", true);
    DO_TEST_REMOVE(removeObject, "object-del", "GenericError", "object", true);
    DO_TEST_REMOVE(removeObjectSilently, "object-del", "GenericError", "object", false);
    DO_TEST_REMOVE(removeChardev, "chardev-remove", "GenericError", "Chardev", true);

    qemuTestDriverFree(&driver);

    return ret == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

VIR_TEST_MAIN(mymain)
