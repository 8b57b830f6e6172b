pomona models | grep -A4 -x 'resnet50'
pomona models extra
