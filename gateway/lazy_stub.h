/* SPDX-License-Identifier: MIT */
/* lazy_stub.h - what the rows that lazy.py writes expand to, on x86-64. On other machines the executable is linked to its
 * libraries as usual (meson.build).
 *
 * A stub stands for a function under its name and jumps to where its library has it. While the address is not known,
 * lazy_resolve asks lazy_find() for it, with all that may hold an argument put aside. r10 and r11 are free at a call;
 * endbr64 is for -fcf-protection; hidden, so that no library finds a stub in the place of the function itself.
 */
#ifndef GATEWAY_LAZY_STUB_H
#define GATEWAY_LAZY_STUB_H

#include "base/lazy.h"

#define LAZY_LIBRARY(library, soname, names)                                                                           \
	__attribute__((visibility("hidden"), aligned(LAZY_PAGE))) void *lazy_at_##library[LAZY_PAGE / sizeof(void *)]; \
	_Static_assert(sizeof(names) <= LAZY_PAGE, "the addresses of a library fill one page");                        \
	__attribute__((visibility("hidden"))) extern const struct lazy lazy_##library;                                 \
	const struct lazy lazy_##library = {soname, names, sizeof(names) / sizeof(names[0]), lazy_at_##library};

#define LAZY_STUB(library, number, name)                                                                               \
	__asm__(".text\n"                                                                                              \
		".globl " #name "\n.hidden " #name "\n.type " #name ",@function\n" #name ":\n"                         \
		"	endbr64\n"                                                                                           \
		"	mov lazy_at_" #library "+8*" #number "(%rip), %r11\n"                                          \
		"	test %r11, %r11\n"                                                                                   \
		"	jz 1f\n"                                                                                             \
		"	jmp *%r11\n"                                                                                         \
		"1:	lea lazy_" #library "(%rip), %r11\n"                                                           \
		"	mov $" #number ", %r10d\n"                                                                     \
		"	jmp lazy_resolve\n"                                                                                  \
		".size " #name ", .-" #name "\n");

__asm__(".text\n"
	".local lazy_resolve\n.type lazy_resolve,@function\nlazy_resolve:\n"
	"	.cfi_startproc\n"
	"	push %rbp\n"
	"	.cfi_def_cfa_offset 16\n"
	"	.cfi_offset %rbp, -16\n"
	"	mov %rsp, %rbp\n"
	"	.cfi_def_cfa_register %rbp\n"
	"	push %rdi\n	push %rsi\n	push %rdx\n	push %rcx\n	push %r8\n	push %r9\n"
	"	push %rax\n	push %rax\n" /* how many vectors a variadic call passes; twice, for the alignment */
	"	sub $128, %rsp\n"
	"	movups %xmm0, (%rsp)\n	movups %xmm1, 16(%rsp)\n	movups %xmm2, 32(%rsp)\n"
	"	movups %xmm3, 48(%rsp)\n	movups %xmm4, 64(%rsp)\n	movups %xmm5, 80(%rsp)\n"
	"	movups %xmm6, 96(%rsp)\n	movups %xmm7, 112(%rsp)\n"
	"	mov %r11, %rdi\n	mov %r10, %rsi\n"
	"	call lazy_find\n"
	"	mov %rax, %r11\n"
	"	movups (%rsp), %xmm0\n	movups 16(%rsp), %xmm1\n	movups 32(%rsp), %xmm2\n"
	"	movups 48(%rsp), %xmm3\n	movups 64(%rsp), %xmm4\n	movups 80(%rsp), %xmm5\n"
	"	movups 96(%rsp), %xmm6\n	movups 112(%rsp), %xmm7\n"
	"	add $128, %rsp\n"
	"	pop %rax\n	pop %rax\n	pop %r9\n	pop %r8\n	pop %rcx\n	pop %rdx\n"
	"	pop %rsi\n	pop %rdi\n	pop %rbp\n"
	"	.cfi_def_cfa %rsp, 8\n"
	"	jmp *%r11\n"
	"	.cfi_endproc\n"
	".size lazy_resolve, .-lazy_resolve\n");

/* The libraries by name, where tools look for what an executable loads by itself. */
#define LAZY_NOTE(json)                                                                                                \
	__asm__(".section .note.dlopen,\"a\",@note\n"                                                                  \
		".balign 4\n.long 4, 2f-1f, 0x407c0c0a\n.asciz \"FDO\"\n"                                              \
		"1:	.asciz \"" json "\"\n2:	.balign 4\n.text\n");

#endif
