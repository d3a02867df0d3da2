/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is told when something of NVIDIA's is missing. The dynamic linker reads LD_LIBRARY_PATH when a program starts: this
 * one starts itself again, with one word that says what to try.
 */
#define _POSIX_C_SOURCE 200809L /* setenv */
#include "backend_cuda/libraries.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *program, *fakes;

static void try(const char *what, char *text, size_t size)
{
    deep_symbol symbols[] = {{"cudnnGetVersion", NULL}, {"cudnnBackendExecute", NULL}, {NULL, NULL}};
    if (strcmp(what, "driver") == 0)
        snprintf(text, size, "%d", (int)deep__count_gpus(13000, text, size));
    else if (strcmp(what, "reason") == 0)
        deep__count_gpus(13000, text, size);
    else if (strcmp(what, "cudnn") == 0)
        deep__open_cudnn(symbols, text, size);
    else
        deep__open_cublaslt(symbols, text, size);
}

/* What a process says whose libraries are those of `folder` below the fakes. */
static const char *answer(const char *folder, const char *gpus, const char *version, const char *what)
{
    static char text[512];
    char path[4096];
    int pipes[2];
    ck_assert_int_eq(pipe(pipes), 0);
    snprintf(path, sizeof path, "%s/%s", fakes, folder);
    const pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        dup2(pipes[1], STDOUT_FILENO);
        setenv("LD_LIBRARY_PATH", path, 1);
        setenv("FAKE_GPUS", gpus, 1);
        setenv("FAKE_CUDA", version, 1);
        execl(program, program, what, (char *)NULL);
        _exit(1);
    }
    close(pipes[1]);
    size_t length = 0;
    for (ssize_t got; (got = read(pipes[0], text + length, sizeof text - 1 - length)) > 0;)
        length += (size_t)got;
    text[length] = '\0';
    close(pipes[0]);
    waitpid(child, NULL, 0);
    return text;
}

START_TEST(without_a_driver_that_is_said)
{
    /* not a library: so that a driver of this machine is not found either */
    ck_assert_str_eq(answer("broken", "1", "13000", "reason"), "no NVIDIA driver: libcuda.so.1 cannot be opened");
}
END_TEST

START_TEST(a_driver_without_gpus_says_so)
{
    ck_assert_str_eq(answer("driver", "0", "13000", "reason"), "no NVIDIA GPU: the driver finds none");
}
END_TEST

START_TEST(a_driver_that_fails_says_its_error)
{
    ck_assert_str_eq(answer("driver", "-1", "13000", "reason"), "the NVIDIA driver does not start: its error 999");
}
END_TEST

START_TEST(an_old_driver_is_too_old)
{
    ck_assert_str_eq(answer("driver", "1", "12040", "reason"),
                     "the NVIDIA driver is too old: for CUDA 12.4, 13.0 is needed");
}
END_TEST

START_TEST(gpus_are_counted)
{
    ck_assert_str_eq(answer("driver", "2", "13010", "driver"), "2");
}
END_TEST

START_TEST(without_cudnn_that_is_said)
{
    const char *text = answer("broken", "1", "13000", "cudnn");
    ck_assert_msg(strncmp(text, "no cuDNN 9: ", 12) == 0 && strstr(text, "libcudnn.so.9") != NULL, "%s", text);
}
END_TEST

START_TEST(another_cudnn_names_what_it_lacks)
{
    ck_assert_str_eq(answer("driver", "1", "13000", "cudnn"), "libcudnn.so.9 has no cudnnBackendExecute");
}
END_TEST

START_TEST(without_cublaslt_that_is_said)
{
    const char *text = answer("broken", "1", "13000", "cublaslt");
    ck_assert_msg(strncmp(text, "no cuBLASLt: ", 13) == 0 && strstr(text, "libcublasLt.so.1") != NULL, "%s", text);
}
END_TEST

static Suite *libraries_suite(void)
{
    Suite *suite = suite_create("libraries");
    TCase *tests = tcase_create("libraries");
    tcase_add_test(tests, without_a_driver_that_is_said);
    tcase_add_test(tests, a_driver_without_gpus_says_so);
    tcase_add_test(tests, a_driver_that_fails_says_its_error);
    tcase_add_test(tests, an_old_driver_is_too_old);
    tcase_add_test(tests, gpus_are_counted);
    tcase_add_test(tests, without_cudnn_that_is_said);
    tcase_add_test(tests, another_cudnn_names_what_it_lacks);
    tcase_add_test(tests, without_cublaslt_that_is_said);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(int argc, char **argv)
{
    char text[256] = "";
    if (argc == 2) {
        try(argv[1], text, sizeof text);
        fputs(text, stdout);
        return 0;
    }
    program = argv[0];
    fakes = getenv("DEEP_FAKES");
    SRunner *runner = srunner_create(libraries_suite());
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 && fakes != NULL ? 0 : 1;
}
