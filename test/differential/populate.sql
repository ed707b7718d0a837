SELECT 'ok - populate'
