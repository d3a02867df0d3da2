/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_TOOLS_COMMANDS_H
#define DEEP_TOOLS_COMMANDS_H

/* Subcommands of `deep`: argv[0] is the command's name, the result is the exit status. */
int cmd_train(int argc, char **argv);
int cmd_predict(int argc, char **argv);
int cmd_evaluate(int argc, char **argv);
int cmd_quantize(int argc, char **argv);
int cmd_info(int argc, char **argv);
int cmd_bench(int argc, char **argv);
int cmd_verify(int argc, char **argv);
int cmd_split(int argc, char **argv);
int cmd_synth(int argc, char **argv);
int cmd_devices(int argc, char **argv);
int cmd_version(int argc, char **argv);

#endif
