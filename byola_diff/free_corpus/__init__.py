"""A training corpus of real sounds, made of free packages of the Debian archive.

Public: `plan.read_table`, what there is to be had; `build.build_package`, the pieces of one
package; `tables.write_tables`, what is said of them.
"""
