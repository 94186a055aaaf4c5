# SPDX-License-Identifier: Apache-2.0
# Tests of what needs no llama.cpp.
mt_test(test_gguf SOURCES tests/test_gguf.c DEPS engine_local engine system chat wire base)
mt_test(test_local_text SOURCES tests/test_local_text.c DEPS engine_local engine chat wire base)
mt_test(test_json_grammar SOURCES tests/test_json_grammar.c
        DEPS engine_local engine chat wire base)
