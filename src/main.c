/* SPDX-License-Identifier: MIT */
/* The program: finds the subcommand and runs it. */
#include "cmd/cmd.h"

int main(int argc, char **argv)
{
    return cmd_main(argc, argv);
}
