pomona inspect resnet50 --size 50 | sed -n -e '1,4p' -e '/conv5_block3_out/p' -e '/parameters,/,$p'
pomona inspect resnet50 --json | head -4
for arguments in 'none' 's3://bucket/kinds.model' 'none.onnx' '--size 0 vgg16' 'vgg16 vgg19' '--layer'; do
  pomona inspect $arguments
  echo "= $?"
done
