/* SPDX-License-Identifier: MIT */
/*
 * replay.c: runs a fuzz target on files and directories of files, without a fuzzer: what once was found stays
 * found, with every compiler. Each file is also run cut short at some lengths.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned int count;

static int run_file(const char *path)
{
	static uint8_t bytes[1u << 20];
	FILE *file = fopen(path, "re");
	size_t size;

	if (!file) {
		perror(path);
		return 1;
	}
	size = fread(bytes, 1, sizeof(bytes), file);
	fclose(file);
	for (size_t part = 0; part <= 16; part++) {
		/* Memory of just that size, so that a sanitizer sees a read behind it. */
		size_t length = size * part / 16;
		uint8_t *copy = malloc(length + 1);

		if (!copy)
			return 1;
		memcpy(copy, bytes, length);
		LLVMFuzzerTestOneInput(copy, length);
		free(copy);
		count++;
	}
	return 0;
}

int main(int argc, char **argv)
{
	int failed = 0;

	for (int i = 1; i < argc; i++) {
		DIR *directory = opendir(argv[i]);
		struct dirent *entry;

		if (!directory) {
			failed |= run_file(argv[i]);
			continue;
		}
		while ((entry = readdir(directory))) {
			char path[4096];

			if (entry->d_name[0] == '.')
				continue;
			snprintf(path, sizeof(path), "%s/%s", argv[i], entry->d_name);
			failed |= run_file(path);
		}
		closedir(directory);
	}
	printf("%u inputs\n", count);
	return failed || count == 0;
}
