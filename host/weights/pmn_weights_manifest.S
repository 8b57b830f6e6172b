/* The manifest as part of the program. */
        .section .rodata
        .hidden pmn_weights_manifest
        .hidden pmn_weights_manifest_end
        .global pmn_weights_manifest
        .global pmn_weights_manifest_end
pmn_weights_manifest:
        .incbin PMN_WEIGHTS_MANIFEST
pmn_weights_manifest_end:
        .byte 0
        .section .note.GNU-stack,"",%progbits
