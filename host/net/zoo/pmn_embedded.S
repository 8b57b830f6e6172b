/* Weights that are part of the program, as the files that the build names. */
        .section .rodata
        .hidden pmn_weights_efficientnet_lite0
        .hidden pmn_weights_efficientnet_lite0_end
        .global pmn_weights_efficientnet_lite0
        .global pmn_weights_efficientnet_lite0_end
        .balign 64
pmn_weights_efficientnet_lite0:
        .incbin PMN_WEIGHTS_EFFICIENTNET_LITE0
pmn_weights_efficientnet_lite0_end:
        .byte 0
        .section .note.GNU-stack,"",%progbits
