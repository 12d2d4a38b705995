# SPDX-License-Identifier: GPL-2.0
"""Sphinx's configuration; scripts/docs.sh calls it."""

import os
import sys

# The kernel's own extension: kheap_free() in a text becomes a link.
sys.path.insert(0, os.path.join(os.environ["KHEAP_KERNEL_SOURCE"],
                                "Documentation", "sphinx"))

project = "kheap"
author = "The kheap developers"
copyright = author
extensions = ["automarkup"]
root_doc = "index"
exclude_patterns = ["models"]     # models.rst includes what is there
html_theme = "alabaster"
html_theme_options = {
    "description": "private heaps for kernel modules",
    "page_width": "1000px",
}
html_copy_source = False
primary_domain = "c"
highlight_language = "none"
# What kernel headers say about functions, and C does not know.
c_id_attributes = ["__malloc", "__must_check", "__always_inline"]
